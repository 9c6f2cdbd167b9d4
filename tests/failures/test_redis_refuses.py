"""A real Redis that answers, and refuses: each answer is an error of its own, and loses nothing."""

import threading
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.middleware import SessionMiddleware as DjangosMiddleware
from django.core.cache import caches
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.retry import Retry

from cookieproj.engines.caches.redis_steps import known_servers
from cookieproj.engines.checks import sessions_can_be_stored
from cookieproj.engines.constants import DJANGO_ENGINES, OUR_ENGINES
from cookieproj.engines.exceptions import (
    StoreError,
    StoreFullError,
    StoreMisconfiguredError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.round_trips import count_round_trips
from tests.fault_table import Held
from tests.proxy import Proxy, proxied
from tests.servers import StoppableRedis, UnavailableError
from tests.stores import forget_pending

pytestmark = pytest.mark.django_db

Use = Callable[..., Any]
Judged = Callable[..., None]

SERIALIZER = "django_redis.serializers.json.JSONSerializer"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[..., StoppableRedis]]:
    """A Redis with those options, each time."""
    begun: list[StoppableRedis] = []

    def begin(*options: str) -> StoppableRedis:
        folder = tmp_path / str(len(begun))
        folder.mkdir()
        try:
            server = StoppableRedis(folder, *options)
        except UnavailableError as error:
            pytest.skip(str(error))
        begun.append(server)
        server.start()
        return server

    yield begin
    for server in begun:
        server.kill()


@pytest.fixture
def use(settings: Settings) -> Iterator[Use]:
    """The engine of that path, with its cache in the Redis of that URL."""

    def use(path: str, url: str, **connection: Any) -> Any:
        settings.CACHES = {
            "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
            "sessions": {
                "BACKEND": "django_redis.cache.RedisCache",
                "LOCATION": url,
                "OPTIONS": {
                    "SERIALIZER": SERIALIZER,
                    "SOCKET_CONNECT_TIMEOUT": 2,
                    "SOCKET_TIMEOUT": 2,
                    "CONNECTION_POOL_KWARGS": connection,
                },
            },
        }
        settings.SESSION_CACHE_ALIAS = "sessions"
        settings.SESSION_ENGINE = path
        forget_pending()
        return import_module(path).SessionStore

    yield use
    forget_pending()


@pytest.fixture(params=[OUR_ENGINES, DJANGO_ENGINES], ids=["ours", "django"])
def family(request: pytest.FixtureRequest) -> str:
    """Both of them always: what Django's engines keep must be kept."""
    found: str = request.param
    return found


@pytest.fixture
def judged(held: Held, family: str) -> Judged:
    """Note whether it held. Ours must; Django's may lose what it is known to lose."""

    def judged(what: str, promise: bool, djangos_loses: bool = False) -> None:
        held(what, "ours" if family == OUR_ENGINES else "Django's", 1, int(not promise))
        assert promise or (family == DJANGO_ENGINES and djangos_loses)

    return judged


def stored(store: Any, **data: Any) -> str:
    session = store()
    session.update(data)
    session.save()
    return str(session.session_key)


def elsewhere(store: Any, key: str) -> dict[str, Any]:
    """What another process finds, which knows nothing of what this one has to catch up on."""
    forget_pending()
    return dict(store(key).items())


def fill(server: StoppableRedis) -> None:
    with Redis(port=server.port) as client:
        client.config_set("maxmemory", "1")


def empty(server: StoppableRedis) -> None:
    with Redis(port=server.port) as client:
        client.config_set("maxmemory", "0")


class TestFull:
    """maxmemory is reached, and nothing may be evicted."""

    def test_a_sign_out_is_one(self, servers: Any, use: Use, family: str, judged: Judged) -> None:
        server = servers()
        for name in ("cache", "cached_db"):
            store = use(f"{family}{name}", f"{server.url}/0")
            key = stored(store, user=1)
            assert elsewhere(store, key) == {"user": 1}
            fill(server)
            store(key).flush()
            found = elsewhere(store, key)
            empty(server)
            is_out = found == elsewhere(store, key) == {}
            judged(f"Redis full, {name}: a sign-out that ends nothing", is_out)

    def test_nor_does_a_handover_need_room_to_end_a_session(
        self, servers: Any, use: Use, settings: Settings, tmp_path: Path
    ) -> None:
        server = servers()
        settings.SESSION_HANDOVER_FROM = "file"
        settings.SESSION_FILE_PATH = tmp_path
        store = use(f"{OUR_ENGINES}cache", f"{server.url}/0")
        key = stored(store, user=1)
        fill(server)
        store(key).flush()
        assert elsewhere(store, key) == {}
        empty(server)
        assert elsewhere(store, key) == {}

    def test_a_copy_does_not_get_old(
        self, servers: Any, use: Use, family: str, judged: Judged
    ) -> None:
        server = servers()
        store = use(f"{family}cached_db", f"{server.url}/0")
        key = stored(store, color="blue")
        fill(server)
        session = store(key)
        session["color"] = "red"
        session.save()
        found = elsewhere(store, key)
        what = "Redis full, cached_db: a write that others do not see"
        judged(what, found == {"color": "red"}, djangos_loses=True)

    def test_what_finds_no_room_is_an_error_and_loses_nothing(
        self, servers: Any, use: Use, family: str, judged: Judged
    ) -> None:
        server = servers()
        store = use(f"{family}cache", f"{server.url}/0")
        key = stored(store, color="blue")
        fill(server)
        for action in ("save", "cycle_key"):
            session = store(key)
            session["color"] = "red"
            with pytest.raises((StoreFullError, RedisError)) as error:
                getattr(session, action)()
            assert key not in str(error.value) or family == DJANGO_ENGINES
            keeps = elsewhere(store, key) == {"color": "blue"}
            judged("Redis full, cache: a session", keeps)
        if family == OUR_ENGINES:
            assert "Redis 127.0.0.1" in str(error.value)
            assert "Give it more space" in str(error.value)
        empty(server)
        assert elsewhere(store, key) == {"color": "blue"}


@pytest.fixture
def no_scripts(servers: Any) -> str:
    """The URL of a Redis whose user may run no scripts, as some hosts have it."""
    server = servers()
    with Redis(port=server.port) as client:
        client.execute_command(
            *["ACL", "SETUSER", "site", "on", ">secret", "~*", "+@all", "-@scripting"]
        )
    return f"redis://site:secret@127.0.0.1:{server.port}/0"


class TestWithoutScripts:
    def test_a_session_lives_as_with_them(
        self, no_scripts: str, use: Use, family: str, judged: Judged
    ) -> None:
        for name in ("cache", "cached_db"):
            store = use(f"{family}{name}", no_scripts)
            key = stored(store, a=1)
            session = store(key)
            session.cycle_key()
            session["user"] = 1
            session.save()
            old, new = elsewhere(store, key), elsewhere(store, session.session_key)
            what = f"Redis runs no scripts for us, {name}: a sign-in"
            judged(what, (old, new) == ({}, {"a": 1, "user": 1}))
            session["a"] = 2
            session.save()
            assert elsewhere(store, session.session_key) == {"a": 2, "user": 1}
            # As it is stored, so only its expiry moves.
            same = store(session.session_key)
            same.get("a")
            same.set_expiry(None)
            same.save()
            session.flush()
            assert elsewhere(store, same.session_key) == {}

    def test_no_write_is_lost(self, no_scripts: str, use: Use) -> None:
        store = use(f"{OUR_ENGINES}cache", no_scripts)
        key = stored(store)
        together = threading.Barrier(8)

        def work(number: int) -> None:
            for turn in range(5):
                session = store(key)
                session[f"{number}-{turn}"] = turn
                together.wait(timeout=60)
                session.save()
                together.wait(timeout=60)
            caches.close_all()
            connections.close_all()

        threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(elsewhere(store, key)) == 40

    def test_an_ended_session_stays_so(self, no_scripts: str, use: Use) -> None:
        store = use(f"{OUR_ENGINES}cache", no_scripts)
        key = stored(store, a=1)
        late = store(key)
        late["b"] = 2
        store(key).flush()
        with pytest.raises(UpdateError):
            late.save()

    def test_a_script_is_tried_once(self, no_scripts: str, use: Use) -> None:
        """Then it is WATCH, GET and the transaction."""
        store = use(f"{OUR_ENGINES}cache", no_scripts)
        key = stored(store, a=1)
        for trips in (4, 3):
            session = store(key)
            session["a"] = trips
            with count_round_trips() as seen:
                session.save()
            assert seen.number == trips
        assert any("EVAL" in server.refused for server in known_servers.values())

    def test_the_check_says_so(self, no_scripts: str, servers: Any, use: Use) -> None:
        for name in ("cache", "cached_db"):
            use(f"{OUR_ENGINES}{name}", no_scripts)
            [warning] = sessions_can_be_stored(databases=["default"])
            assert warning.id == "engines.W011"
            assert "three round trips instead of one" in warning.msg
            assert "secret" not in warning.msg
            use(f"{OUR_ENGINES}{name}", f"{servers().url}/0")
            assert sessions_can_be_stored(databases=["default"]) == []

    def test_a_count_whose_answer_is_lost_is_not_counted_twice(
        self, no_scripts: str, use: Use
    ) -> None:
        """redis-py takes a connection that breaks at EXEC for somebody who was quicker."""
        server = urlsplit(no_scripts)
        with proxied(("127.0.0.1", server.port or 0)) as proxy:
            store = use(
                f"{OUR_ENGINES}cache", no_scripts.replace(str(server.port), str(proxy.port))
            )
            key = stored(store, n=0)
            store(key).apply("n", lambda n: n)
            session = store(key)
            session.get("n")
            # WATCH and GET are answered.
            proxy.drop_answer(2)
            with pytest.raises(StoreUnavailableError):
                session.apply("n", lambda n: n + 1)
            assert proxy.dropped.is_set()
            assert elsewhere(store, key)["n"] in {0, 1}

    def test_no_traceback_holds_a_key(self, no_scripts: str, use: Use) -> None:
        """Of a command in a pipeline redis-py's own error repeats all of it."""
        store = use(f"{OUR_ENGINES}cache", no_scripts)
        key = stored(store, a=1)
        session = store(key)
        session["a"] = 2
        with Redis(port=urlsplit(no_scripts).port or 0) as client:
            client.config_set("maxmemory", "1")
        with pytest.raises(StoreFullError) as error:
            session.save()
        told = "".join(traceback.format_exception(error.value))
        assert key not in told
        assert "secret" not in told

    def test_neither_one_nor_the_other_is_told(self, servers: Any, use: Use) -> None:
        server = servers()
        with Redis(port=server.port) as client:
            client.execute_command("ACL SETUSER site on >secret ~* +@all -@scripting -@transaction")
        store = use(f"{OUR_ENGINES}cache", f"redis://site:secret@127.0.0.1:{server.port}/0")
        key = stored(store, a=1)
        session = store(key)
        session["a"] = 2
        with pytest.raises(StoreMisconfiguredError, match=r"either \+eval or \+watch") as error:
            session.save()
        assert key not in str(error.value)
        store(key).flush()
        assert elsewhere(store, key) == {}


class TestAnOldKey:
    """The right to delete is gone for a while, and comes back."""

    @pytest.fixture
    def store(self, servers: Any, use: Use) -> Any:
        self.server = servers()
        self.may("+@all")
        return use(f"{OUR_ENGINES}cache", f"redis://site:secret@127.0.0.1:{self.server.port}/0")

    def may(self, *rights: str) -> None:
        with Redis(port=self.server.port) as client:
            client.execute_command("ACL", "SETUSER", "site", "on", ">secret", "~*", *rights)

    @pytest.mark.parametrize("then", ["save", "cycle_key", "flush"])
    def test_it_is_told_and_ended_by_what_comes_next(self, store: Any, then: str) -> None:
        key = stored(store, user=1)
        session = store(key)
        session.get("user")
        self.may("-del")
        with pytest.raises(StoreMisconfiguredError):
            session.cycle_key()
        assert elsewhere(store, session.session_key) == {"user": 1}
        self.may("+del")
        getattr(session, then)()
        assert elsewhere(store, key) == {}

    def test_a_count_meanwhile_loses_no_sign_in(self, store: Any) -> None:
        key = stored(store, n=0)
        session = store(key)
        session.get("n")
        self.may("-del")
        with pytest.raises(StoreMisconfiguredError):
            session.cycle_key()
        self.may("+del")
        session["user"] = 1
        store(key).apply("n", lambda n: n + 1)
        session.apply("n", lambda n: n + 1)
        session.save()
        assert elsewhere(store, session.session_key)["user"] == 1
        assert elsewhere(store, key) == {}


class TestReplica:
    def test_it_is_read_only_for_as_long_as_it_is_one(
        self, servers: Any, use: Use, family: str
    ) -> None:
        server = servers()
        store = use(f"{family}cache", f"{server.url}/0")
        key = stored(store, a=1)
        with Redis(port=server.port) as client:
            # Of nobody, so that what it holds stays.
            client.replicaof("127.0.0.1", 1)
            session = store(key)
            session["a"] = 2
            with pytest.raises((StoreReadOnlyError, RedisError)) as error:
                session.save()
            assert elsewhere(store, key) == {"a": 1}
            client.replicaof("NO", "ONE")
        if family == OUR_ENGINES:
            assert "Connect to the primary" in str(error.value)
        session.save()
        assert elsewhere(store, key) == {"a": 2}

    def test_a_connection_from_before_a_failover_is_dropped(
        self, servers: Any, use: Use, family: str, judged: Judged
    ) -> None:
        """The name leads to the new primary, and the connection still to the old one."""
        old, new = servers(), servers()
        name = Proxy(("127.0.0.1", old.port))
        store = use(f"{family}cache", f"redis://127.0.0.1:{name.port}/0")
        key = stored(store, a=1)
        with Redis(port=old.port) as previous, Redis(port=new.port) as primary:
            for entry in previous.scan_iter():
                primary.restore(entry, 60_000, previous.dump(entry))
            previous.replicaof("127.0.0.1", new.port)
            name.turn_to(("127.0.0.1", new.port))
            session = store(key)
            session["a"] = 2
            try:
                session.save()
                seen: object = elsewhere(store, key)
            except RedisError as error:
                seen = error
        name.close()
        what = "Redis fails over behind its name, cache: a write over a connection from before"
        judged(what, seen == {"a": 2}, djangos_loses=True)


@pytest.mark.parametrize(
    ("options", "command", "address", "words"),
    [
        (["--databases", "1"], "PING", "redis://127.0.0.1:{port}/5", "Choose a database that"),
        (
            [],
            "CONFIG SET requirepass secret",
            "redis://127.0.0.1:{port}/0",
            "Check user name and password",
        ),
        (
            [],
            "CONFIG SET requirepass secret",
            "redis://:wrong@127.0.0.1:{port}/0",
            "Check user name and password",
        ),
        (
            [],
            "ACL SETUSER site on >secret ~other:* +@all",
            "redis://site:secret@127.0.0.1:{port}/0",
            "ACL SETUSER",
        ),
        (
            [],
            "ACL SETUSER site on >secret ~* +@all -get",
            "redis://site:secret@127.0.0.1:{port}/0",
            "ACL SETUSER",
        ),
        (["--rename-command", "GET", ""], "PING", "redis://127.0.0.1:{port}/0", "ACL SETUSER"),
    ],
    ids=[
        "no such database",
        "no password",
        "wrong password",
        "other keys",
        "no GET",
        "GET renamed",
    ],
)
def test_a_wrong_set_up_says_what_to_do(
    servers: Any, use: Use, options: list[str], command: str, address: str, words: str
) -> None:
    server = servers(*options)
    with Redis(port=server.port) as client:
        client.execute_command(*command.split())
    store = use(f"{OUR_ENGINES}cache", address.format(port=server.port))
    with pytest.raises(StoreMisconfiguredError, match=words) as error:
        store("k" * 32).load()
    assert "secret" not in str(error.value)
    assert "k" * 32 not in str(error.value)


def test_what_is_no_session_under_its_name_is_told(servers: Any, use: Use) -> None:
    server = servers()
    store = use(f"{OUR_ENGINES}cache", f"{server.url}/0")
    key = stored(store, a=1)
    with Redis(port=server.port) as client:
        [name] = client.keys()
        client.delete(name)
        client.rpush(name, "a")
    [listed] = store.walk()
    assert listed.stored.data is None
    with pytest.raises(StoreMisconfiguredError, match="a database of their own") as error:
        store(key).load()
    assert key not in str(error.value)
    assert key not in repr(error.value)


def test_one_that_reads_its_data_still_is_to_be_tried_again(servers: Any, use: Use) -> None:
    server = servers("--key-load-delay", "200")
    # By itself redis-py tries again for some seconds.
    store = use(f"{OUR_ENGINES}cache", f"{server.url}/0", retry=Retry(NoBackoff(), 0))
    key = stored(store, a=1)
    with Redis(port=server.port) as client:
        pipeline = client.pipeline()
        for number in range(20_000):
            pipeline.set(f"other-{number}", number)
        pipeline.execute()
    server.kill()
    back = threading.Thread(target=server.start)
    back.start()
    while back.is_alive() and not is_loading(server):
        pass
    with pytest.raises(StoreUnavailableError, match="still loading its data"):
        store(key).load()
    back.join()
    assert elsewhere(store, key) == {"a": 1}


def is_loading(server: StoppableRedis) -> bool:
    with Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as client:
        try:
            client.ping()
        except BusyLoadingError:
            return True
        except RedisError:
            # It does not listen yet.
            return False
    return False


@pytest.fixture
def cluster(servers: Any) -> str:
    """The URL of a Redis Cluster of one shard."""
    server = servers("--cluster-enabled", "yes")
    with Redis(port=server.port) as client:
        client.execute_command("CLUSTER ADDSLOTS", *range(16384))
        while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            pass
    return f"redis://127.0.0.1:{server.port}/0"


def test_a_cluster_of_one_shard_takes_one_key_at_a_time(
    cluster: str, use: Use, family: str, judged: Judged
) -> None:
    for name in ("cache", "cached_db"):
        store = use(f"{family}{name}", cluster)
        key = stored(store, a=1)
        session = store(key)
        session.cycle_key()
        session["user"] = 1
        session.save()
        old, new = elsewhere(store, key), elsewhere(store, session.session_key)
        what = f"A Redis Cluster of one shard, {name}: a sign-in"
        judged(what, (old, new) == ({}, {"a": 1, "user": 1}))
        others = [stored(store, number=number) for number in range(5)]
        if family == OUR_ENGINES:
            assert {each.key for each in store.walk()} == {session.session_key, *others}
            assert store.alive([*others, key]) == set(others)
        for other in (*others, session.session_key):
            store(other).flush()
            assert not store().exists(other)


def test_its_other_databases_are_none(cluster: str, use: Use) -> None:
    store = use(f"{OUR_ENGINES}cache", cluster.removesuffix("0") + "1")
    with pytest.raises(StoreMisconfiguredError, match="Redis Cluster has only 0"):
        store("k" * 32).load()


MIDDLEWARE: dict[str, type[DjangosMiddleware]] = {
    OUR_ENGINES: SessionMiddleware,
    DJANGO_ENGINES: DjangosMiddleware,
}


def sign_in(key: str, middleware: type[DjangosMiddleware]) -> str:
    """By a request with that key: the one that its browser holds after the answer."""

    def view(request: HttpRequest) -> HttpResponse:
        request.session.get("cart")
        request.session.cycle_key()
        request.session["user"] = 1
        return HttpResponse()

    request = RequestFactory().post("/")
    request.COOKIES[settings.SESSION_COOKIE_NAME] = key
    serves: Any = middleware(view)
    try:
        response = serves(request)
    except (StoreError, RedisError):
        # A page that says so, and sets no cookie.
        return key
    cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
    return str(cookie.value) if cookie else key


class TestNoAnswer:
    """It may have done what it was asked."""

    def test_a_key_that_was_to_change_while_it_hung(
        self, servers: Any, use: Use, family: str, judged: Judged
    ) -> None:
        server = servers()
        store = use(f"{family}cache", f"{server.url}/0")
        key = stored(store, cart=1)
        session = store(key)
        session.get("cart")
        server.freeze()
        with pytest.raises((StoreUnavailableError, RedisError)):
            session.cycle_key()
        server.thaw()
        assert server.answers()
        # What it was asked meanwhile it has done by now.
        keeps = elsewhere(store, key) == {"cart": 1}
        judged("Redis hangs while a key changes, cache: a session", keeps)

    @pytest.mark.parametrize("from_then_on", [False, True])
    @pytest.mark.parametrize("name", ["cache", "cached_db"])
    def test_whatever_answer_gets_lost_the_browser_has_its_session(
        self,
        servers: Any,
        use: Use,
        family: str,
        name: str,
        from_then_on: bool,
        judged: Judged,
    ) -> None:
        """It holds the new key if the request came to its end, and the old one else."""
        server = servers()
        lost = 0
        for number in range(1, 12):
            proxy = Proxy(("127.0.0.1", server.port))
            store = use(f"{family}{name}", f"redis://127.0.0.1:{proxy.port}/0")
            key = stored(store, cart=1)
            store(key).load()
            proxy.drop_answer(number - 1, and_all_others=from_then_on)
            browsers = sign_in(key, MIDDLEWARE[family])
            lost += proxy.dropped.is_set()
            proxy.close()
            store = use(f"{family}{name}", f"{server.url}/0")
            keeps = elsewhere(store, browsers).get("cart") == 1
            what = f"An answer of Redis gets lost while a key changes, {name}: a session"
            judged(what, keeps, djangos_loses=True)
            if not proxy.dropped.is_set():
                break
        assert lost >= 2
