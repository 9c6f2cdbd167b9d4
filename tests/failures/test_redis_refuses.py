"""A real Redis refuses commands: each reason is a different error, and no session is lost."""

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
from django.contrib.sessions.middleware import SessionMiddleware as DjangoMiddleware
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
from tests.fault_table import Tally
from tests.proxy import Proxy, proxied
from tests.servers import StoppableRedis, UnavailableError
from tests.stores import forget_pending

pytestmark = pytest.mark.django_db

Use = Callable[..., Any]
RecordResult = Callable[..., None]

SERIALIZER = "django_redis.serializers.json.JSONSerializer"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[..., StoppableRedis]]:
    """Starts a Redis with these options."""
    started: list[StoppableRedis] = []

    def start(*options: str) -> StoppableRedis:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        try:
            server = StoppableRedis(folder, *options)
        except UnavailableError as error:
            pytest.skip(str(error))
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def use(settings: Settings) -> Iterator[Use]:
    """Returns the ``SessionStore`` of an engine whose cache is the Redis of that URL."""

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
    """Not ``whose``, since Django's engines run without --figures too.

    A case that works on Django's engines has to work on ours.
    """
    family: str = request.param
    return family


@pytest.fixture
def record_result(tally: Tally, family: str) -> RecordResult:
    """Records a result in the table. Django's engines may fail where they are known to."""

    def record_result(row: str, succeeded: bool, django_may_fail: bool = False) -> None:
        tally(row, "ours" if family == OUR_ENGINES else "Django's", 1, int(not succeeded))
        assert succeeded or (family == DJANGO_ENGINES and django_may_fail)

    return record_result


def create_session(store: Any, **data: Any) -> str:
    session = store()
    session.update(data)
    session.save()
    return str(session.session_key)


def read_in_new_process(store: Any, key: str) -> dict[str, Any]:
    """The data that another process reads, which has no pending invalidations."""
    forget_pending()
    return dict(store(key).items())


def fill(server: StoppableRedis) -> None:
    with Redis(port=server.port) as client:
        client.config_set("maxmemory", "1")


def empty(server: StoppableRedis) -> None:
    with Redis(port=server.port) as client:
        client.config_set("maxmemory", "0")


class TestFull:
    """maxmemory is reached, and Redis may not evict keys."""

    def test_sign_out_ends_session(
        self, servers: Any, use: Use, family: str, record_result: RecordResult
    ) -> None:
        server = servers()
        for name in ("cache", "cached_db"):
            store = use(f"{family}{name}", f"{server.url}/0")
            key = create_session(store, user=1)
            assert read_in_new_process(store, key) == {"user": 1}
            fill(server)
            store(key).flush()
            while_full = read_in_new_process(store, key)
            empty(server)
            has_ended = while_full == read_in_new_process(store, key) == {}
            record_result(f"Redis full, {name}: a sign-out that ends nothing", has_ended)

    def test_sign_out_during_handover_ends_session(
        self, servers: Any, use: Use, settings: Settings, tmp_path: Path
    ) -> None:
        server = servers()
        settings.SESSION_HANDOVER_FROM = "file"
        settings.SESSION_FILE_PATH = tmp_path
        store = use(f"{OUR_ENGINES}cache", f"{server.url}/0")
        key = create_session(store, user=1)
        fill(server)
        store(key).flush()
        assert read_in_new_process(store, key) == {}
        empty(server)
        assert read_in_new_process(store, key) == {}

    def test_cache_of_cached_db_serves_no_outdated_copy(
        self, servers: Any, use: Use, family: str, record_result: RecordResult
    ) -> None:
        server = servers()
        store = use(f"{family}cached_db", f"{server.url}/0")
        key = create_session(store, color="blue")
        fill(server)
        session = store(key)
        session["color"] = "red"
        session.save()
        data = read_in_new_process(store, key)
        row = "Redis full, cached_db: a write that others do not see"
        record_result(row, data == {"color": "red"}, django_may_fail=True)

    def test_write_raises_store_full_error_and_keeps_stored_session(
        self, servers: Any, use: Use, family: str, record_result: RecordResult
    ) -> None:
        server = servers()
        store = use(f"{family}cache", f"{server.url}/0")
        key = create_session(store, color="blue")
        fill(server)
        for action in ("save", "cycle_key"):
            session = store(key)
            session["color"] = "red"
            with pytest.raises((StoreFullError, RedisError)) as error:
                getattr(session, action)()
            assert key not in str(error.value) or family == DJANGO_ENGINES
            is_kept = read_in_new_process(store, key) == {"color": "blue"}
            record_result("Redis full, cache: a session", is_kept)
        if family == OUR_ENGINES:
            assert "Redis 127.0.0.1" in str(error.value)
            assert "Give it more space" in str(error.value)
        empty(server)
        assert read_in_new_process(store, key) == {"color": "blue"}


@pytest.fixture
def no_scripts(servers: Any) -> str:
    """The URL of a Redis whose user may not run scripts, as some hosters have it."""
    server = servers()
    with Redis(port=server.port) as client:
        client.execute_command(
            *["ACL", "SETUSER", "site", "on", ">secret", "~*", "+@all", "-@scripting"]
        )
    return f"redis://site:secret@127.0.0.1:{server.port}/0"


class TestWithoutScripts:
    def test_session_can_be_saved_cycled_and_flushed(
        self, no_scripts: str, use: Use, family: str, record_result: RecordResult
    ) -> None:
        for name in ("cache", "cached_db"):
            store = use(f"{family}{name}", no_scripts)
            key = create_session(store, a=1)
            session = store(key)
            session.cycle_key()
            session["user"] = 1
            session.save()
            old, new = (
                read_in_new_process(store, key),
                read_in_new_process(store, session.session_key),
            )
            row = f"Redis runs no scripts, {name}: a sign-in"
            record_result(row, (old, new) == ({}, {"a": 1, "user": 1}))
            session["a"] = 2
            session.save()
            assert read_in_new_process(store, session.session_key) == {"a": 2, "user": 1}
            # The data are unchanged, so only the expiry moves.
            unchanged = store(session.session_key)
            unchanged.get("a")
            unchanged.set_expiry(None)
            unchanged.save()
            session.flush()
            assert read_in_new_process(store, unchanged.session_key) == {}

    def test_concurrent_saves_lose_no_write(self, no_scripts: str, use: Use) -> None:
        store = use(f"{OUR_ENGINES}cache", no_scripts)
        key = create_session(store)
        barrier = threading.Barrier(8)

        def work(number: int) -> None:
            for turn in range(5):
                session = store(key)
                session[f"{number}-{turn}"] = turn
                barrier.wait(timeout=60)
                session.save()
                barrier.wait(timeout=60)
            caches.close_all()
            connections.close_all()

        threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(read_in_new_process(store, key)) == 40

    def test_late_save_after_flush_raises_update_error(self, no_scripts: str, use: Use) -> None:
        store = use(f"{OUR_ENGINES}cache", no_scripts)
        key = create_session(store, a=1)
        late = store(key)
        late["b"] = 2
        store(key).flush()
        with pytest.raises(UpdateError):
            late.save()

    def test_script_is_only_tried_once(self, no_scripts: str, use: Use) -> None:
        """After that, a save is WATCH, GET and the transaction."""
        store = use(f"{OUR_ENGINES}cache", no_scripts)
        key = create_session(store, a=1)
        for expected in (4, 3):
            session = store(key)
            session["a"] = expected
            with count_round_trips() as round_trips:
                session.save()
            assert round_trips.number == expected
        assert any("EVAL" in server.refused for server in known_servers.values())

    def test_check_warns_of_missing_scripts(self, no_scripts: str, servers: Any, use: Use) -> None:
        for name in ("cache", "cached_db"):
            use(f"{OUR_ENGINES}{name}", no_scripts)
            [warning] = sessions_can_be_stored(databases=["default"])
            assert warning.id == "engines.W011"
            assert "three round trips instead of one" in warning.msg
            assert "secret" not in warning.msg
            use(f"{OUR_ENGINES}{name}", f"{servers().url}/0")
            assert sessions_can_be_stored(databases=["default"]) == []

    def test_apply_whose_response_is_lost_is_not_repeated(self, no_scripts: str, use: Use) -> None:
        """redis-py reports a connection that breaks at EXEC as a conflict with another client."""
        server = urlsplit(no_scripts)
        with proxied(("127.0.0.1", server.port or 0)) as proxy:
            store = use(
                f"{OUR_ENGINES}cache", no_scripts.replace(str(server.port), str(proxy.port))
            )
            key = create_session(store, n=0)
            store(key).apply("n", lambda n: n)
            session = store(key)
            session.get("n")
            # The responses to WATCH and GET are passed on.
            proxy.drop_answer(2)
            with pytest.raises(StoreUnavailableError):
                session.apply("n", lambda n: n + 1)
            assert proxy.dropped.is_set()
            assert read_in_new_process(store, key)["n"] in {0, 1}

    def test_traceback_contains_no_key(self, no_scripts: str, use: Use) -> None:
        """The error of redis-py repeats the whole command of a pipeline."""
        store = use(f"{OUR_ENGINES}cache", no_scripts)
        key = create_session(store, a=1)
        session = store(key)
        session["a"] = 2
        with Redis(port=urlsplit(no_scripts).port or 0) as client:
            client.config_set("maxmemory", "1")
        with pytest.raises(StoreFullError) as error:
            session.save()
        printed = "".join(traceback.format_exception(error.value))
        assert key not in printed
        assert "secret" not in printed

    def test_missing_scripts_and_transactions_are_misconfigured(
        self, servers: Any, use: Use
    ) -> None:
        server = servers()
        with Redis(port=server.port) as client:
            client.execute_command("ACL SETUSER site on >secret ~* +@all -@scripting -@transaction")
        store = use(f"{OUR_ENGINES}cache", f"redis://site:secret@127.0.0.1:{server.port}/0")
        key = create_session(store, a=1)
        session = store(key)
        session["a"] = 2
        with pytest.raises(StoreMisconfiguredError, match=r"either \+eval or \+watch") as error:
            session.save()
        assert key not in str(error.value)
        store(key).flush()
        assert read_in_new_process(store, key) == {}


class TestWithoutDelete:
    """The Redis user may not run DEL for a while, so the old key of ``cycle_key`` remains."""

    @pytest.fixture
    def store(self, servers: Any, use: Use) -> Any:
        self.server = servers()
        self.permit("+@all")
        return use(f"{OUR_ENGINES}cache", f"redis://site:secret@127.0.0.1:{self.server.port}/0")

    def permit(self, *rights: str) -> None:
        with Redis(port=self.server.port) as client:
            client.execute_command("ACL", "SETUSER", "site", "on", ">secret", "~*", *rights)

    @pytest.mark.parametrize("next_call", ["save", "cycle_key", "flush"])
    def test_failed_cycle_key_is_completed_by_next_call(self, store: Any, next_call: str) -> None:
        key = create_session(store, user=1)
        session = store(key)
        session.get("user")
        self.permit("-del")
        with pytest.raises(StoreMisconfiguredError):
            session.cycle_key()
        assert read_in_new_process(store, session.session_key) == {"user": 1}
        self.permit("+del")
        getattr(session, next_call)()
        assert read_in_new_process(store, key) == {}

    def test_concurrent_apply_after_failed_cycle_key_loses_no_sign_in(self, store: Any) -> None:
        key = create_session(store, n=0)
        session = store(key)
        session.get("n")
        self.permit("-del")
        with pytest.raises(StoreMisconfiguredError):
            session.cycle_key()
        self.permit("+del")
        session["user"] = 1
        store(key).apply("n", lambda n: n + 1)
        session.apply("n", lambda n: n + 1)
        session.save()
        assert read_in_new_process(store, session.session_key)["user"] == 1
        assert read_in_new_process(store, key) == {}


class TestReplica:
    def test_write_to_replica_raises_store_read_only_error(
        self, servers: Any, use: Use, family: str
    ) -> None:
        server = servers()
        store = use(f"{family}cache", f"{server.url}/0")
        key = create_session(store, a=1)
        with Redis(port=server.port) as client:
            # The replica of no server, so that it keeps its data.
            client.replicaof("127.0.0.1", 1)
            session = store(key)
            session["a"] = 2
            with pytest.raises((StoreReadOnlyError, RedisError)) as error:
                session.save()
            assert read_in_new_process(store, key) == {"a": 1}
            client.replicaof("NO", "ONE")
        if family == OUR_ENGINES:
            assert "Connect to the primary" in str(error.value)
        session.save()
        assert read_in_new_process(store, key) == {"a": 2}

    def test_request_that_only_reads_is_served_without_renewal(
        self, servers: Any, use: Use, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = servers()
        store = use(f"{OUR_ENGINES}cache", f"{server.url}/0")
        key = create_session(store, color="blue")
        # Its expiry is much later, so a renewal is due at once.
        settings.SESSION_IDLE_AGE = 1000
        with Redis(port=server.port) as client:
            client.replicaof("127.0.0.1", 1)
        request = RequestFactory().get("/")
        request.COOKIES[settings.SESSION_COOKIE_NAME] = key
        response = SessionMiddleware(lambda request: HttpResponse(request.session["color"]))(
            request
        )
        assert (response.status_code, response.content) == (200, b"blue")
        assert not response.cookies
        assert "A session is not renewed. The session store is read-only" in caplog.text
        assert key not in caplog.text

    def test_connection_to_former_primary_is_replaced(
        self, servers: Any, use: Use, family: str, record_result: RecordResult
    ) -> None:
        """The host name now leads to the new primary, but the connection to the old one is open."""
        old, new = servers(), servers()
        proxy = Proxy(("127.0.0.1", old.port))
        store = use(f"{family}cache", f"redis://127.0.0.1:{proxy.port}/0")
        key = create_session(store, a=1)
        with Redis(port=old.port) as previous, Redis(port=new.port) as primary:
            for entry in previous.scan_iter():
                primary.restore(entry, 60_000, previous.dump(entry))
            previous.replicaof("127.0.0.1", new.port)
            proxy.turn_to(("127.0.0.1", new.port))
            session = store(key)
            session["a"] = 2
            try:
                session.save()
                result: object = read_in_new_process(store, key)
            except RedisError as error:
                result = error
        proxy.close()
        row = "Redis fails over behind its name, cache: a write over an old connection"
        record_result(row, result == {"a": 2}, django_may_fail=True)


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
def test_misconfigured_redis_raises_error_with_remedy(
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


def test_foreign_value_under_session_key_is_misconfigured(servers: Any, use: Use) -> None:
    server = servers()
    store = use(f"{OUR_ENGINES}cache", f"{server.url}/0")
    key = create_session(store, a=1)
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


def test_redis_that_is_loading_its_data_is_unavailable(servers: Any, use: Use) -> None:
    server = servers("--key-load-delay", "200")
    # By default redis-py retries for some seconds.
    store = use(f"{OUR_ENGINES}cache", f"{server.url}/0", retry=Retry(NoBackoff(), 0))
    key = create_session(store, a=1)
    with Redis(port=server.port) as client:
        pipeline = client.pipeline()
        for number in range(20_000):
            pipeline.set(f"other-{number}", number)
        pipeline.execute()
    server.kill()
    restart = threading.Thread(target=server.start)
    restart.start()
    while restart.is_alive() and not is_loading(server):
        pass
    with pytest.raises(StoreUnavailableError, match="still loading its data"):
        store(key).load()
    restart.join()
    assert read_in_new_process(store, key) == {"a": 1}


def is_loading(server: StoppableRedis) -> bool:
    with Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as client:
        try:
            client.ping()
        except BusyLoadingError:
            return True
        except RedisError:
            # The server does not listen yet.
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


def test_sessions_work_on_redis_cluster_of_one_shard(
    cluster: str, use: Use, family: str, record_result: RecordResult
) -> None:
    for name in ("cache", "cached_db"):
        store = use(f"{family}{name}", cluster)
        key = create_session(store, a=1)
        session = store(key)
        session.cycle_key()
        session["user"] = 1
        session.save()
        old, new = read_in_new_process(store, key), read_in_new_process(store, session.session_key)
        row = f"A Redis Cluster of one shard, {name}: a sign-in"
        record_result(row, (old, new) == ({}, {"a": 1, "user": 1}))
        others = [create_session(store, number=number) for number in range(5)]
        if family == OUR_ENGINES:
            assert {each.key for each in store.walk()} == {session.session_key, *others}
            assert store.alive([*others, key]) == set(others)
        for other in (*others, session.session_key):
            store(other).flush()
            assert not store().exists(other)


def test_redis_cluster_with_database_number_is_misconfigured(cluster: str, use: Use) -> None:
    store = use(f"{OUR_ENGINES}cache", cluster.removesuffix("0") + "1")
    with pytest.raises(StoreMisconfiguredError, match="Redis Cluster has only 0"):
        store("k" * 32).load()


MIDDLEWARE: dict[str, type[DjangoMiddleware]] = {
    OUR_ENGINES: SessionMiddleware,
    DJANGO_ENGINES: DjangoMiddleware,
}


def sign_in(key: str, middleware: type[DjangoMiddleware]) -> str:
    """Sign in by a request with that key, and return the browser's key after the response."""

    def view(request: HttpRequest) -> HttpResponse:
        request.session.get("cart")
        request.session.cycle_key()
        request.session["user"] = 1
        return HttpResponse()

    request = RequestFactory().post("/")
    request.COOKIES[settings.SESSION_COOKIE_NAME] = key
    handler: Any = middleware(view)
    try:
        response = handler(request)
    except (StoreError, RedisError):
        # The error page sets no cookie.
        return key
    cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
    return str(cookie.value) if cookie else key


class TestNoResponse:
    """Redis may have executed a command to which it sent no response."""

    def test_failed_cycle_key_while_redis_hangs_keeps_the_session(
        self, servers: Any, use: Use, family: str, record_result: RecordResult
    ) -> None:
        server = servers()
        store = use(f"{family}cache", f"{server.url}/0")
        key = create_session(store, cart=1)
        session = store(key)
        session.get("cart")
        server.freeze()
        with pytest.raises((StoreUnavailableError, RedisError)):
            session.cycle_key()
        server.thaw()
        assert server.answers()
        # By now the server has executed the commands that it got meanwhile.
        is_kept = read_in_new_process(store, key) == {"cart": 1}
        record_result("Redis hangs while a key changes, cache: a session", is_kept)

    @pytest.mark.parametrize("drops_later_ones", [False, True])
    @pytest.mark.parametrize("name", ["cache", "cached_db"])
    def test_browser_keeps_its_session_whichever_response_is_lost(
        self,
        servers: Any,
        use: Use,
        family: str,
        name: str,
        drops_later_ones: bool,
        record_result: RecordResult,
    ) -> None:
        """The browser has the new key if the request succeeded, and otherwise the old one."""
        server = servers()
        lost = 0
        for number in range(1, 12):
            proxy = Proxy(("127.0.0.1", server.port))
            store = use(f"{family}{name}", f"redis://127.0.0.1:{proxy.port}/0")
            key = create_session(store, cart=1)
            store(key).load()
            proxy.drop_answer(number - 1, and_all_others=drops_later_ones)
            browser_key = sign_in(key, MIDDLEWARE[family])
            lost += proxy.dropped.is_set()
            proxy.close()
            store = use(f"{family}{name}", f"{server.url}/0")
            is_kept = read_in_new_process(store, browser_key).get("cart") == 1
            row = f"An answer of Redis gets lost while a key changes, {name}: a session"
            record_result(row, is_kept, django_may_fail=True)
            if not proxy.dropped.is_set():
                break
        assert lost >= 2
