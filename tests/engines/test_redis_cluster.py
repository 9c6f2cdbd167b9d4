"""Sessions spread over the nodes of a Redis Cluster."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.core.cache import caches as connections
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
from tests.proxy import Proxy
from tests.servers import StoppableRedis

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}

Use = Callable[[str], None]


@pytest.fixture
def use(settings: Settings) -> Use:
    """Keep sessions in the server, or the cluster, of that URL."""
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    settings.SESSION_CACHE_ALIAS = "sessions"

    def use(url: str) -> None:
        settings.CACHES = caches(url)

    return use


@pytest.fixture
def nodes(use: Use, cluster: Cluster) -> list[Any]:
    """Clients of the cluster's masters, which are empty."""
    use(cluster.url)
    connections["sessions"].clear()
    return [Redis(port=node.port) for node in cluster.nodes]


@pytest.fixture
def one_node(tmp_path: Path) -> Iterator[Callable[..., StoppableRedis]]:
    """A cluster of one node with those options, each time."""
    with ExitStack() as stack:

        def begin(*options: str) -> StoppableRedis:
            folder = tmp_path / f"{len(begun)}"
            folder.mkdir()
            node = StoppableRedis(folder, "--cluster-enabled", "yes", *options)
            begun.append(node)
            stack.callback(node.kill)
            node.start()
            with Redis(port=node.port) as client:
                client.execute_command("CLUSTER ADDSLOTS", *range(16_384))
                while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                    pass
            return node

        begun: list[StoppableRedis] = []
        yield begin


def cluster_of(node: StoppableRedis, credentials: str = "") -> str:
    return f"redis+cluster://{credentials}127.0.0.1:{node.port}"


def stored(**data: Any) -> str:
    session = SessionStore()
    session.update(data)
    session.save()
    return str(session.session_key)


def test_sessions_are_on_all_nodes_and_listed_from_all(nodes: list[Any]) -> None:
    keys = {stored(number=number) for number in range(60)}
    on_each = [len(node.keys()) for node in nodes]
    assert sum(on_each) == len(keys)
    assert min(on_each) > 0
    assert {listed.key for listed in SessionStore.walk(page_size=7)} == keys
    assert SessionStore.count() == len(keys)
    assert SessionStore.alive([*keys, "k" * 32]) == keys


@pytest.mark.parametrize("size", [1, 3, 20, 59, 60, 61, 1000])
def test_a_page_goes_on_where_the_one_before_ended(nodes: list[Any], size: int) -> None:
    keys = {stored(number=number) for number in range(60)}
    met: list[str] = []
    pages, position = 0, ""
    while position or not pages:
        page = SessionStore.page(position, size)
        met += [listed.key for listed in page.sessions]
        pages, position = pages + 1, page.next
    assert sorted(met) == sorted(keys)


def test_of_many_there_is_an_estimate(nodes: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """From a part of each node."""
    client: Any = connections["sessions"]
    name = client.make_key(SessionStore.cache_key_prefix)
    pipeline = client.client.get_client().pipeline()
    for number in range(4500):
        pipeline.set(f"{name}{number}", "{}")
    pipeline.execute()
    assert SessionStore.count() == 4500
    assert not isinstance(SessionStore.count(), Estimate)
    monkeypatch.setattr(redis_listing, "COUNT_SAMPLE_SIZE", 1500)
    monkeypatch.setattr(redis_listing, "COUNT_BATCH_SIZE", 100)
    count = SessionStore.count()
    assert isinstance(count, Estimate)
    assert abs(count - 4500) < 100


def moved_slot(nodes: list[Any], slot: int) -> Iterator[None]:
    """Move a slot to another node: its keys first, when this begins, and then all know of it."""
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


def owns(node: Any, slot: int) -> bool:
    slots = node.execute_command("CLUSTER SLOTS")
    own = node.connection_pool.connection_kwargs["port"]
    return any(first <= slot <= last and primary[1] == own for first, last, primary, *_ in slots)


def test_a_session_goes_on_while_its_slot_moves(nodes: list[Any]) -> None:
    key = stored(n=1)
    session, late = SessionStore(key), SessionStore(key)
    session["n"] = late["n"] + 1
    steps = moved_slot(nodes, key_slot(store_of(SessionStore).locate(key)[0].name.encode()))
    # The old node asks to go to the new one, for this once.
    next(steps)
    session.save()
    assert SessionStore(key)["n"] == 2
    # Now it tells who has the slot.
    next(steps)
    session["n"] = 3
    session.save()
    assert SessionStore(key)["n"] == 3
    assert [listed.key for listed in SessionStore.walk()] == [key]
    session.flush()
    late["n"] = 4
    with pytest.raises(UpdateError):
        late.save()


def test_a_node_that_is_another_now_is_listed_from_its_beginning(nodes: list[Any]) -> None:
    """A cursor means something to the node alone that gave it."""
    keys = {stored(number=number) for number in range(200)}
    first = SessionStore.page(size=10)
    slot, _address, cursor = first.next.split()
    assert cursor != "0"
    rest: set[str] = set()
    position = f"{slot} 127.0.0.1:1 {cursor}"
    while position:
        page = SessionStore.page(position, 10)
        rest |= {listed.key for listed in page.sessions}
        position = page.next
    assert rest == keys


def test_its_name_is_that_of_the_node_that_is_named_first(nodes: list[Any]) -> None:
    cache = adapter_for(connections["sessions"])
    port = nodes[0].connection_pool.connection_kwargs["port"]
    assert cache.label == f"Redis Cluster 127.0.0.1:{port}"
    assert cache.default_id.startswith("Redis Cluster :1:")


def test_a_site_writes_it_into_its_own_settings(settings: Settings, cluster: Cluster) -> None:
    """As docs/engines.md has it."""
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
    key = stored(a=1)
    assert SessionStore(key)["a"] == 1


def test_sessions_move_to_a_cluster_and_back(
    nodes: list[Any], settings: Settings, redis_url: str, cluster: Cluster, db: None
) -> None:
    single = caches(f"{redis_url}/12")
    for old, new in ((single, cluster.url), (caches(cluster.url), f"{redis_url}/12")):
        settings.CACHES = old
        connections["sessions"].clear()
        keys = {stored(number=number) for number in range(20)}
        settings.CACHES = caches(new) | {"old": old["sessions"]}
        connections["sessions"].clear()
        settings.SESSION_HANDOVER_FROM = "cache"
        settings.SESSION_HANDOVER_CACHE_ALIAS = "old"
        one, *_others = keys
        # One comes back by itself.
        session = SessionStore(one)
        session["n"] = 1
        session.save()
        call_command("movesessions", "--from=cache", "--to=cache", verbosity=0)
        settings.SESSION_HANDOVER_FROM = None
        found = {key: dict(SessionStore(key).items()) for key in keys}
        assert found[one].pop("n") == 1
        assert sorted(data["number"] for data in found.values()) == list(range(20))
        assert {listed.key for listed in SessionStore.walk()} == keys


def test_without_scripts_a_transaction_compares(one_node: Any, use: Use) -> None:
    node = one_node()
    with Redis(port=node.port) as client:
        client.execute_command("ACL SETUSER site on >secret ~* +@all -@scripting")
    use(cluster_of(node, "site:secret@"))
    key = stored(n=1)
    one, two, same = SessionStore(key), SessionStore(key), SessionStore(key)
    one["a"], two["b"] = same.get("n"), 2
    for session in (one, two, same):
        session.save()
    assert dict(SessionStore(key).items()) == {"n": 1, "a": 1, "b": 2}
    assert SessionStore.count() == 1
    assert "three round trips" in str(adapter_for(connections["sessions"]).detour)
    SessionStore(key).flush()
    with pytest.raises(UpdateError):
        one.save()


def test_a_count_whose_answer_is_lost_is_not_counted_twice(
    one_node: Any, use: Use, settings: Settings
) -> None:
    """redis-py itself would send it again."""
    # Its nodes are reached by the addresses that they tell.
    proxy = Proxy(("127.0.0.1", 0))
    node = one_node("--cluster-announce-port", str(proxy.port))
    proxy.turn_to(("127.0.0.1", node.port))
    use(f"redis+cluster://127.0.0.1:{proxy.port}")
    key = stored(n=0)
    SessionStore(key).apply("n", lambda n: n + 1)
    session = SessionStore(key)
    session.get("n")
    proxy.drop_answer()
    with pytest.raises(StoreUnavailableError):
        session.apply("n", lambda n: n + 1)
    assert proxy.dropped.is_set()
    assert SessionStore(key)["n"] == 2
    proxy.close()


def test_a_cluster_that_serves_not_all_slots_is_unavailable(one_node: Any, use: Use) -> None:
    """Till it does again."""
    node = one_node()
    use(cluster_of(node))
    key = stored(n=1)
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


def test_one_of_which_no_node_answers_is_unavailable(use: Use) -> None:
    use("redis+cluster://user:password@127.0.0.1:1,127.0.0.1:2")
    for act in (SessionStore("k" * 32).load, SessionStore().create, SessionStore.count):
        with pytest.raises(StoreUnavailableError) as error:
            act()
        assert error.value.store == "Redis Cluster 127.0.0.1:1"
        assert "password" not in str(error.value)


def test_a_node_that_is_named_and_gone_is_not_needed(use: Use, cluster: Cluster) -> None:
    use(cluster.url.replace("//", "//127.0.0.1:1,"))
    assert SessionStore(stored(n=1))["n"] == 1


def test_a_server_that_is_no_cluster_says_so(use: Use, redis_url: str) -> None:
    use(redis_url.replace("redis", "redis+cluster"))
    with pytest.raises(StoreMisconfiguredError, match="not a node of a Redis Cluster"):
        SessionStore("k" * 32).load()


def test_a_wrong_password_is_told(one_node: Any, use: Use) -> None:
    node = one_node()
    with Redis(port=node.port) as client:
        client.config_set("requirepass", "secret")
    use(cluster_of(node, ":wrong@"))
    with pytest.raises(StoreMisconfiguredError, match="Check user name and password"):
        SessionStore("k" * 32).load()


def test_a_client_of_one_server_is_told_to_be_one_of_a_cluster(
    settings: Settings, use: Use, cluster: Cluster
) -> None:
    use(f"{cluster.nodes[0].url}/0?sessions_db=0")

    def store_some() -> None:
        for number in range(40):
            stored(number=number)

    with pytest.raises(StoreMisconfiguredError, match="ClusterConnectionFactory"):
        store_some()
