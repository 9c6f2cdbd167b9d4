"""Sessions on a Redis Cluster: all nodes are listed, slots move, and nodes refuse or fail."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.core.cache import caches as connections
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from pytest_django import Settings
from redis import Redis
from redis.crc import key_slot

from cookieproj.engines.cache import SessionStore
from cookieproj.engines.caches import adapter_for, redis_listing
from cookieproj.engines.exceptions import StoreMisconfiguredError, StoreUnavailableError
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.listing import Estimate
from cookieproj.settings.caches import caches
from tests.clusters import Cluster
from tests.proxy import proxied
from tests.servers import StoppableRedis

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}

Use = Callable[[str], None]


@pytest.fixture
def use(settings: Settings) -> Use:
    """Return a function that stores sessions at that URL."""
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    settings.SESSION_CACHE_ALIAS = "sessions"

    def use(url: str) -> None:
        settings.CACHES = caches(url)

    return use


@pytest.fixture
def nodes(use: Use, cluster: Cluster) -> list[Any]:
    """Clients of the masters. The cluster is empty."""
    use(cluster.url)
    connections["sessions"].clear()
    return [Redis(port=node.port) for node in cluster.nodes]


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[Callable[..., StoppableRedis]]:
    """Starts a cluster of a single node with these options."""
    with ExitStack() as stack:

        def start_node(*options: str) -> StoppableRedis:
            node = StoppableRedis(tmp_path, "--cluster-enabled", "yes", *options)
            stack.callback(node.kill)
            node.start()
            with Redis(port=node.port) as client:
                client.execute_command("CLUSTER ADDSLOTS", *range(16_384))
                while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                    pass
            return node

        yield start_node


def cluster_url_of(node: StoppableRedis, credentials: str = "") -> str:
    return f"redis+cluster://{credentials}127.0.0.1:{node.port}"


def create_session(**data: Any) -> str:
    session = SessionStore()
    session.update(data)
    session.save()
    return str(session.session_key)


def test_sessions_are_stored_on_and_listed_from_all_nodes(nodes: list[Any]) -> None:
    keys = {create_session(number=number) for number in range(60)}
    sizes = [node.dbsize() for node in nodes]
    assert sum(sizes) == len(keys)
    assert min(sizes) > 0
    assert {listed.key for listed in SessionStore.walk(page_size=7)} == keys
    assert SessionStore.count() == len(keys)
    assert SessionStore.alive([*keys, "k" * 32]) == keys


@pytest.mark.parametrize("size", [1, 3, 20, 59, 60, 61, 1000])
def test_pages_list_each_session_once(nodes: list[Any], size: int) -> None:
    keys = {create_session(number=number) for number in range(60)}
    listed: list[str] = []
    position, pages = "", 0
    while position or not pages:
        page = SessionStore.page(position, size)
        listed += [session.key for session in page.sessions]
        position, pages = page.next, pages + 1
    assert sorted(listed) == sorted(keys)


def test_count_of_many_entries_is_an_estimate(
    nodes: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The estimate is made from a sample of each node."""
    cache: Any = connections["sessions"]
    prefix = cache.make_key(SessionStore.cache_key_prefix)
    pipeline = cache.client.get_client().pipeline()
    for number in range(4500):
        pipeline.set(f"{prefix}{number}", "{}")
    pipeline.execute()
    assert SessionStore.count() == 4500
    assert not isinstance(SessionStore.count(), Estimate)
    monkeypatch.setattr(redis_listing, "COUNT_SAMPLE_SIZE", 1500)
    monkeypatch.setattr(redis_listing, "COUNT_BATCH_SIZE", 100)
    count = SessionStore.count()
    assert isinstance(count, Estimate)
    assert abs(count - 4500) < 100


def move_slot(nodes: list[Any], slot: int) -> Iterator[None]:
    """Move a slot to another node in two steps: first its keys, then its ownership."""
    ids = [node.execute_command("CLUSTER MYID").decode() for node in nodes]
    [old] = [number for number, node in enumerate(nodes) if owns(node, slot)]
    new = (old + 1) % len(nodes)
    port = nodes[new].connection_pool.connection_kwargs["port"]
    nodes[new].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[old])
    nodes[old].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[new])
    for key in nodes[old].execute_command("CLUSTER GETKEYSINSLOT", slot, 1000):
        nodes[old].execute_command("MIGRATE", "127.0.0.1", port, key, 0, 5000)
    yield
    for node in (nodes[new], nodes[old], *nodes):
        node.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[new])
    yield


def test_save_follows_a_slot_that_has_moved_since_the_read(nodes: list[Any], right: str) -> None:
    """The client still knows the old node."""
    key = create_session(n=1)
    name = store_of(SessionStore).locate(key)[0].name
    late, session = SessionStore(key), SessionStore(key)
    session["n"] = late["n"] + 1
    list(move_slot(nodes, key_slot(name.encode())))
    session.save()
    assert SessionStore(key)["n"] == 2
    list(move_slot(nodes, key_slot(name.encode())))
    late["other"] = 1
    late.save()
    assert dict(SessionStore(key).items()) == {"n": 2, "other": 1}


def owns(node: Any, slot: int) -> bool:
    slots = node.execute_command("CLUSTER SLOTS")
    port = node.connection_pool.connection_kwargs["port"]
    return any(first <= slot <= last and primary[1] == port for first, last, primary, *_ in slots)


@pytest.fixture(params=["+eval", "-eval"])
def right(request: pytest.FixtureRequest, nodes: list[Any], use: Use, cluster: Cluster) -> str:
    """Whether the site's user may run scripts. Without them, a save is a transaction."""
    right: str = request.param
    for node in nodes:
        node.execute_command(f"ACL SETUSER site{right} on >secret ~* +@all {right}")
    use(cluster.url.replace("//", f"//site{right}:secret@"))
    return right


def test_session_is_saved_while_its_slot_moves(nodes: list[Any], right: str) -> None:
    key = create_session(n=1)
    session, late = SessionStore(key), SessionStore(key)
    session["n"] = late["n"] + 1
    steps = move_slot(nodes, key_slot(store_of(SessionStore).locate(key)[0].name.encode()))
    # The old node redirects a single command to the new one (ASK).
    next(steps)
    session.save()
    assert SessionStore(key)["n"] == 2
    # The old node names the new owner of the slot (MOVED).
    next(steps)
    session["n"] = 3
    session.save()
    assert SessionStore(key)["n"] == 3
    assert bool(adapter_for(connections["sessions"]).detour) == (right == "-eval")
    assert [listed.key for listed in SessionStore.walk()] == [key]
    session.flush()
    late["n"] = 4
    with pytest.raises(UpdateError):
        late.save()


@pytest.mark.parametrize("reached", [0, 1, 2])
def test_list_has_all_sessions_although_a_slot_moves(reached: int, nodes: list[Any]) -> None:
    """A cursor is only valid on its node, and a node is listed by the slots that it has."""
    keys = {create_session(number=number) for number in range(200)}
    listed: set[str] = set()
    steps = move_slot(nodes, 0)
    page = SessionStore.page(size=10)
    while page.next:
        listed |= {session.key for session in page.sessions}
        if page.next.split()[1] == str(reached):
            # Both steps, once.
            list(steps)
        page = SessionStore.page(page.next, 10)
    assert listed | {session.key for session in page.sessions} == keys


@pytest.mark.parametrize(
    "location",
    ["redis://app:s3c/ret-pw@127.0.0.1:6379", "redis://app:s3cret-pw@:1", "unix:///s3cret-pw"],
)
def test_location_that_is_no_url_of_a_node_is_reported_without_it(
    location: str, nodes: list[Any], settings: Settings
) -> None:
    sessions = settings.CACHES["sessions"] | {"LOCATION": location}
    settings.CACHES = settings.CACHES | {"sessions": sessions}
    with pytest.raises(ImproperlyConfigured, match="URL of one node") as raised:
        create_session(n=1)
    assert "s3c" not in str(raised.value)


def test_label_names_the_first_node_of_the_url(nodes: list[Any]) -> None:
    cache = adapter_for(connections["sessions"])
    port = nodes[0].connection_pool.connection_kwargs["port"]
    assert cache.label == f"Redis Cluster 127.0.0.1:{port}"
    assert cache.default_id.startswith("Redis Cluster :1:")


def test_cluster_in_caches_setting_of_a_site(settings: Settings, cluster: Cluster) -> None:
    """The setting is that of docs/engines.md."""
    first, *others = cluster.nodes
    settings.SESSION_CACHE_ALIAS = "sessions"
    settings.CACHES = {
        "default": LOCMEM,
        "sessions": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": first.url,
            "OPTIONS": {
                "CONNECTION_FACTORY": (
                    "cookieproj.engines.caches.redis_cluster.ClusterConnectionFactory"
                ),
                "STARTUP_NODES": [("127.0.0.1", node.port) for node in others],
            },
        },
    }
    assert adapter_for(connections["sessions"]).compares_and_swaps
    key = create_session(a=1)
    assert SessionStore(key)["a"] == 1


def test_handover_to_a_cluster_and_back(
    nodes: list[Any], settings: Settings, redis_url: str, cluster: Cluster, db: None
) -> None:
    server_url = f"{redis_url}/12"
    for old, new in ((server_url, cluster.url), (cluster.url, server_url)):
        settings.CACHES = previous = caches(old)
        connections["sessions"].clear()
        keys = {create_session(number=number) for number in range(20)}
        settings.CACHES = caches(new) | {"old": previous["sessions"]}
        connections["sessions"].clear()
        settings.SESSION_HANDOVER_FROM = "cache"
        settings.SESSION_HANDOVER_CACHE_ALIAS = "old"
        used, *_others = keys
        # The user of one session makes a request before the others are moved.
        session = SessionStore(used)
        session["n"] = 1
        session.save()
        call_command("movesessions", "--from=cache", "--to=cache", verbosity=0)
        settings.SESSION_HANDOVER_FROM = None
        moved = {key: dict(SessionStore(key).items()) for key in keys}
        assert moved[used].pop("n") == 1
        assert sorted(data["number"] for data in moved.values()) == list(range(20))
        assert {listed.key for listed in SessionStore.walk()} == keys


def test_transaction_compares_without_right_to_run_scripts(start_node: Any, use: Use) -> None:
    node = start_node()
    with Redis(port=node.port) as client:
        client.execute_command("ACL SETUSER site on >secret ~* +@all -@scripting")
    use(cluster_url_of(node, "site:secret@"))
    key = create_session(n=1)
    first, second, unchanged = SessionStore(key), SessionStore(key), SessionStore(key)
    first["a"], second["b"] = unchanged.get("n"), 2
    for session in (first, second, unchanged):
        session.save()
    assert dict(SessionStore(key).items()) == {"n": 1, "a": 1, "b": 2}
    assert SessionStore.count() == 1
    assert "three round trips" in str(adapter_for(connections["sessions"]).detour)
    SessionStore(key).flush()
    with pytest.raises(UpdateError):
        first.save()


def test_apply_whose_answer_is_lost_is_not_repeated(start_node: Any, use: Use) -> None:
    """By default redis-py would repeat it."""
    with proxied(("127.0.0.1", 0)) as proxy:
        # The client connects to the address that a node announces.
        node = start_node("--cluster-announce-port", str(proxy.port))
        proxy.turn_to(("127.0.0.1", node.port))
        use(f"redis+cluster://127.0.0.1:{proxy.port}")
        key = create_session(n=0)
        SessionStore(key).apply("n", lambda n: n + 1)
        session = SessionStore(key)
        session.get("n")
        proxy.drop_answer()
        with pytest.raises(StoreUnavailableError):
            session.apply("n", lambda n: n + 1)
        assert proxy.dropped.is_set()
        assert SessionStore(key)["n"] == 2


def test_cluster_is_unavailable_while_a_slot_has_no_node(start_node: Any, use: Use) -> None:
    node = start_node()
    use(cluster_url_of(node))
    key = create_session(n=1)
    session = SessionStore(key)
    session["n"] = 2
    with Redis(port=node.port) as client:
        client.execute_command("CLUSTER DELSLOTS", 0)
        while client.execute_command("CLUSTER INFO")["cluster_state"] == "ok":
            pass
        for act in (session.save, SessionStore(key).load):
            with pytest.raises(StoreUnavailableError, match="cluster is down") as error:
                act()
            assert key not in str(error.value)
        client.execute_command("CLUSTER ADDSLOTS", 0)
        while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            pass
    session.save()
    assert SessionStore(key)["n"] == 2


def test_cluster_without_a_reachable_node_is_unavailable(use: Use) -> None:
    use("redis+cluster://user:password@127.0.0.1:1,127.0.0.1:2")
    for act in (SessionStore("k" * 32).load, SessionStore().create, SessionStore.count):
        with pytest.raises(StoreUnavailableError) as error:
            act()
        assert error.value.store == "Redis Cluster 127.0.0.1:1"
        assert "password" not in str(error.value)


def test_unreachable_first_node_of_the_url_is_skipped(use: Use, cluster: Cluster) -> None:
    use(cluster.url.replace("//", "//127.0.0.1:1,"))
    assert SessionStore(create_session(n=1))["n"] == 1


def test_server_that_is_no_cluster_is_a_configuration_error(use: Use, redis_url: str) -> None:
    use(redis_url.replace("redis", "redis+cluster"))
    with pytest.raises(StoreMisconfiguredError, match="not a node of a Redis Cluster"):
        SessionStore("k" * 32).load()


def test_wrong_password_is_a_configuration_error(start_node: Any, use: Use) -> None:
    node = start_node()
    with Redis(port=node.port) as client:
        client.config_set("requirepass", "secret")
    use(cluster_url_of(node, ":wrong@"))
    with pytest.raises(StoreMisconfiguredError, match="Check user name and password"):
        SessionStore("k" * 32).load()


def test_client_without_cluster_support_is_a_configuration_error(
    use: Use, cluster: Cluster
) -> None:
    """Among many sessions, some are on other nodes."""
    use(f"{cluster.nodes[0].url}/0?sessions_db=0")

    def create_sessions() -> None:
        for number in range(40):
            create_session(number=number)

    with pytest.raises(StoreMisconfiguredError, match="ClusterConnectionFactory"):
        create_sessions()
