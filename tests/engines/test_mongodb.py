"""The engine mongodb: its documents, their index, and what each failure of the server means."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import bson
import pytest
from bson import Binary
from django.contrib.sessions.backends.base import CreateError
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.views.debug import SafeExceptionReporterFilter
from dns.resolver import Resolver
from pymongo import MongoClient
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)
from pytest_django import Settings

from cookieproj.engines import mongodb_client, mongodb_store
from cookieproj.engines.constants import OUR_ENGINES
from cookieproj.engines.exceptions import (
    StoreError,
    StoreFullError,
    StoreMisconfiguredError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from cookieproj.engines.listing import Estimate
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.mongodb import SessionStore
from cookieproj.engines.mongodb_client import Documents, documents, hosts_and_database
from cookieproj.engines.mongodb_store import MongoDBStore
from cookieproj.engines.round_trips import count_round_trips
from cookieproj.settings.mongodb_url import url_and_password
from tests.conftest import empty_mongodb
from tests.proxy import Proxy, proxied
from tests.servers import StoppableMongoDB

from .test_round_trips import plain, read, sign_in, sign_out, write

TOMORROW = datetime.now(UTC) + timedelta(days=1)
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


class TextSerializer:
    """Returns text instead of bytes."""

    def dumps(self, data: dict[str, Any]) -> str:
        return json.dumps(data)

    def loads(self, text: str) -> Any:
        return json.loads(text)


@pytest.fixture
def collection(settings: Settings, mongodb_url: str) -> Documents:
    """The empty collection of the running engine."""
    settings.SESSION_ENGINE = f"{OUR_ENGINES}mongodb"
    empty_mongodb(settings, mongodb_url)
    return documents(mongodb_url)


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[StoppableMongoDB]:
    """A server that the test may stop."""
    server = StoppableMongoDB(tmp_path)
    server.start()
    settings.SESSION_MONGODB_URL = direct(server.url)
    yield server
    server.kill()


# Of mongod, and of SecantusDB.
TEST_COMMANDS = (
    ("--setParameter", "enableTestCommands=1")
    if shutil.which("mongod")
    else ("--enable-test-commands",)
)


def direct(url: str) -> str:
    return f"{url}/sessions?directConnection=true"


def quick(url: str) -> str:
    """For servers that do not answer.

    Not for servers that answer again: PyMongo asks a server at most twice a second.
    """
    return f"{direct(url)}&serverSelectionTimeoutMS=300&socketTimeoutMS=300"


def stored(**data: Any) -> Any:
    session = SessionStore()
    session.update(data)
    session.save()
    return session


class TestDocuments:
    def test_document_has_the_key_the_serialized_data_and_the_expiry(
        self, collection: Documents
    ) -> None:
        session = stored(color="blue")
        [document] = collection.find()
        expires = document.pop("expires")
        assert document == {"_id": session.session_key, "data": b'{"color":"blue"}'}
        assert abs(expires - session.get_expiry_date()) < timedelta(seconds=2)

    def test_first_session_creates_the_index_that_deletes_expired_ones(
        self, collection: Documents
    ) -> None:
        collection.drop()
        mongodb_store.next_index_check.clear()
        stored(a=1)
        index = collection.index_information()["expires_1"]
        assert index["expireAfterSeconds"] == 0

    def test_expired_document_opens_no_session(self, collection: Documents) -> None:
        """MongoDB deletes it only about once a minute."""
        collection.insert_one({"_id": "k" * 32, "data": b'{"a":1}', "expires": YESTERDAY})
        assert dict(SessionStore("k" * 32).items()) == {}
        assert not SessionStore().exists("k" * 32)

    def test_save_without_a_change_writes_the_expiry_alone(self, collection: Documents) -> None:
        session = stored(color="blue")
        session.set_expiry(None)
        before = collection.find_one()
        SessionStore.save(session)
        again = SessionStore(session.session_key)
        again["color"] = "blue"
        with count_round_trips() as trips:
            again.save()
        after = collection.find_one()
        assert before
        assert after
        assert after["data"] == before["data"]
        assert trips.number == 1

    @pytest.mark.parametrize(
        "document",
        [{}, {"data": "text"}, {"data": Binary(b"{}", 5)}, {"data": b"no JSON"}, {"data": None}],
        ids=str,
    )
    def test_document_of_another_program_is_no_session(
        self, document: dict[str, Any], collection: Documents
    ) -> None:
        collection.insert_one({"_id": "k" * 32, "expires": TOMORROW, **document})
        assert dict(SessionStore("k" * 32).items()) == {}
        [listed] = SessionStore.walk()
        assert listed.data == {}
        assert not MongoDBStore().is_readable(listed)

    def test_document_without_an_expiry_is_no_session(self, collection: Documents) -> None:
        collection.insert_one({"_id": "k" * 32, "data": b'{"a":1}'})
        assert not SessionStore().exists("k" * 32)
        assert list(SessionStore.walk()) == []
        assert SessionStore.clear_expired() == 0

    def test_key_that_no_store_can_hold_does_not_exist(self, collection: Documents) -> None:
        assert not SessionStore().exists("\ud800")

    def test_reads_go_to_the_primary_whatever_the_url_says(self, mongodb_url: str) -> None:
        found = documents(f"{mongodb_url}?readPreference=secondaryPreferred")
        assert found.read_preference.mongos_mode == "primary"

    def test_writes_are_acknowledged_by_a_majority_with_the_journal(self, mongodb_url: str) -> None:
        assert documents(mongodb_url).write_concern.document == {"w": "majority", "j": True}

    def test_url_overrides_the_write_concern(self, mongodb_url: str) -> None:
        found = documents(f"{mongodb_url}?w=1&journal=false&socketTimeoutMS=9000")
        assert found.write_concern.document == {"w": 1, "j": False}
        assert found.database.client.options.pool_options.socket_timeout == 9


class SentCommands(CommandListener):
    """The names of the commands that PyMongo sends."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


# A client gets its listeners when it is created, and lives as long as the process.
SENT = SentCommands()


class TestRoundTrips:
    @pytest.fixture
    def sent(self, collection: Documents, settings: Settings) -> SentCommands:
        """The commands of a client with a listener."""
        settings.SESSION_MONGODB_URL += "?appname=counted"
        with mock.patch.dict(mongodb_client.DEFAULT_OPTIONS, event_listeners=[SENT]):
            documents(settings.SESSION_MONGODB_URL)
        return SENT

    @pytest.mark.parametrize(
        ("view", "expected"),
        [
            (plain, []),
            (read, ["find"]),
            (write, ["find", "update"]),
            (sign_in, ["find", "insert", "update", "delete"]),
            (sign_out, ["find", "delete"]),
        ],
    )
    def test_request_sends_as_few_commands_as_possible(
        self, view: Callable[[HttpRequest], HttpResponse], expected: list[str], sent: SentCommands
    ) -> None:
        request = RequestFactory().get("/")
        request.COOKIES["sessionid"] = stored(a=1).session_key
        middleware: Any = SessionMiddleware(view)
        sent.names.clear()
        with count_round_trips() as round_trips:
            middleware(request)
        assert sent.names == expected
        # Our own counter, which pages and benchmarks show, agrees with PyMongo.
        assert round_trips.number == len(expected)


class TestListing:
    def test_pages_follow_the_order_of_the_keys(self, collection: Documents) -> None:
        keys = sorted(stored(n=n).session_key for n in range(7))
        first = SessionStore.page(size=3)
        second = SessionStore.page(first.next, size=3)
        third = SessionStore.page(second.next, size=3)
        pages = [[listed.key for listed in page.sessions] for page in (first, second, third)]
        assert pages == [keys[:3], keys[3:6], keys[6:]]
        assert third.next == ""

    def test_expired_sessions_are_counted_and_cleared_in_batches(
        self, collection: Documents
    ) -> None:
        session = stored(a=1)
        expired = [{"_id": f"{n:032}", "data": b"{}", "expires": YESTERDAY} for n in range(5)]
        collection.insert_many(expired)
        assert (SessionStore.count(), SessionStore.count_expired()) == (6, 5)
        cleared: list[int] = []
        assert SessionStore.clear_expired(batch_size=2, progress=cleared.append) == 5
        assert cleared == [2, 4, 5]
        assert [listed.key for listed in SessionStore.walk()] == [session.session_key]

    def test_no_batch_is_so_large_that_it_takes_longer_than_a_time_out(
        self, collection: Documents
    ) -> None:
        expired = [{"_id": f"{n:032}", "data": b"{}", "expires": YESTERDAY} for n in range(150)]
        collection.insert_many(expired)
        cleared: list[int] = []
        assert SessionStore.clear_expired(batch_size=1000, progress=cleared.append) == 150
        assert cleared == [100, 150]

    def test_large_number_is_an_estimate(
        self, collection: Documents, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(4):
            stored(n=number)
        assert not isinstance(SessionStore.count(), Estimate)
        monkeypatch.setattr(mongodb_store, "COUNTED_EXACTLY", 3)
        counted = SessionStore.count()
        assert isinstance(counted, Estimate)
        assert counted == 4

    def test_alive_leaves_out_expired_ended_and_unstorable_keys(
        self, collection: Documents
    ) -> None:
        session = stored(a=1)
        tombstone = MongoDBStore().encode({"_session_ended": True})
        collection.insert_one({"_id": "ended", "data": tombstone, "expires": TOMORROW})
        collection.insert_one({"_id": "expired", "data": b"{}", "expires": YESTERDAY})
        keys = [session.session_key, "ended", "expired", "missing", "\ud800"]
        assert SessionStore.alive(keys) == {session.session_key}


class TestFailures:
    @pytest.mark.parametrize("fail", [StoppableMongoDB.kill, StoppableMongoDB.freeze])
    def test_silent_server_is_unavailable(
        self,
        fail: Callable[[StoppableMongoDB], None],
        server: StoppableMongoDB,
        settings: Settings,
    ) -> None:
        settings.SESSION_MONGODB_URL = quick(server.url)
        session = stored(a=1)
        fail(server)
        with pytest.raises(StoreUnavailableError) as raised:
            SessionStore(session.session_key).get("a")
        assert str(raised.value.store) == f"MongoDB 127.0.0.1:{server.port}/sessions"
        assert "Topology" not in str(raised.value)
        with pytest.raises(StoreUnavailableError):
            stored(b=2)

    def test_killed_server_keeps_what_it_has_acknowledged(self, server: StoppableMongoDB) -> None:
        sessions = [stored(n=n) for n in range(20)]
        server.kill()
        server.start()
        opened = [SessionStore(session.session_key).get("n") for session in sessions]
        assert opened == list(range(20))

    @pytest.mark.parametrize("size", [8_500_000, 17_000_000])
    def test_session_that_is_too_large_is_refused(self, size: int, collection: Documents) -> None:
        with pytest.raises(StoreFullError, match="about 8 MB fit"):
            stored(text="x" * size)

    def test_change_of_the_largest_session_fits_into_one_command(self) -> None:
        """The command has the stored data and the new data."""
        largest = b"x" * mongodb_store.MAX_DATA_BYTES
        change = {
            "q": {"_id": "k" * 64, "data": largest},
            "u": {"$set": {"data": largest, "expires": TOMORROW}},
        }
        assert len(bson.encode(change)) <= 16 * 1024 * 1024

    def test_serializer_that_returns_text_is_refused(
        self, collection: Documents, settings: Settings
    ) -> None:
        settings.SESSION_SERIALIZER = f"{__name__}.TextSerializer"
        with pytest.raises(TypeError):
            stored(a=1)
        assert collection.count_documents({}) == 0

    @pytest.mark.parametrize(
        "wrong",
        [
            *("?nosuch=1", "?socketTimeoutMS=soon", "?authMechanism=none", "?w=0&journal=false"),
            *("?datetime_conversion=datetime_ms", "?tls=true&tlsCAFile=/nowhere"),
        ],
    )
    def test_wrong_url_is_reported_by_a_check(
        self, wrong: str, collection: Documents, settings: Settings
    ) -> None:
        settings.SESSION_MONGODB_URL += wrong
        with pytest.raises(ImproperlyConfigured, match="SESSION_MONGODB_URL is wrong"):
            stored(a=1)
        assert "engines.E006" in {found.id for found in run_checks()}

    def test_silent_name_server_is_unavailable(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.SESSION_MONGODB_URL = "mongodb+srv://mongodb.example/sessions?connectTimeoutMS=300"
        resolver = Resolver(configure=False)
        resolver.lifetime = 0.1
        monkeypatch.setattr("dns.resolver.default_resolver", resolver)
        with socket(AF_INET, SOCK_DGRAM) as name_server:
            name_server.bind(("127.0.0.1", 0))
            resolver.port = name_server.getsockname()[1]
            resolver.nameservers = ["127.0.0.1"]
            with pytest.raises(StoreUnavailableError):
                stored(a=1)

    def test_password_without_user_is_reported_by_a_check(
        self, collection: Documents, settings: Settings
    ) -> None:
        """PyMongo would ignore the password."""
        settings.SESSION_MONGODB_PASSWORD = "s3cret"
        with pytest.raises(ImproperlyConfigured, match="names no user"):
            stored(a=1)
        assert "engines.E006" in {found.id for found in run_checks()}

    def test_unknown_option_is_named(self, settings: Settings) -> None:
        settings.SESSION_MONGODB_URL = "mongodb://host/name?appName=shop&colour=blue"
        with pytest.raises(ImproperlyConfigured, match="unknown option colour"):
            stored(a=1)
        with pytest.raises(ImproperlyConfigured, match="MONGODB_URL: unknown option colour"):
            url_and_password(settings.SESSION_MONGODB_URL)

    def test_other_replica_set_is_a_wrong_setup(
        self, collection: Documents, settings: Settings
    ) -> None:
        host = urlsplit(settings.SESSION_MONGODB_URL).netloc
        settings.SESSION_MONGODB_URL = (
            f"mongodb://{host}/sessions?replicaSet=other&serverSelectionTimeoutMS=500"
        )
        with pytest.raises(StoreMisconfiguredError, match="Correct SESSION_MONGODB_URL"):
            stored(a=1)

    def test_database_that_cannot_exist_is_a_wrong_setup(self, settings: Settings) -> None:
        settings.SESSION_MONGODB_URL = "mongodb://localhost:27017/my.site"
        with pytest.raises(StoreMisconfiguredError, match="Correct SESSION_MONGODB_URL"):
            stored(a=1)

    @pytest.mark.parametrize("url", ["", "mongodb://localhost", "redis://localhost/1", "nonsense"])
    def test_missing_name_is_reported_by_a_check(self, url: str, settings: Settings) -> None:
        settings.SESSION_ENGINE = f"{OUR_ENGINES}mongodb"
        settings.SESSION_MONGODB_URL = url
        with pytest.raises(ImproperlyConfigured, match="SESSION_MONGODB_URL must name"):
            stored(a=1)
        [message] = [found for found in run_checks() if found.id == "engines.E006"]
        assert "mongodb://localhost:27017/mysite" in str(message.msg)

    def test_previous_engine_without_its_url_is_reported_by_a_check(
        self, settings: Settings
    ) -> None:
        settings.SESSION_ENGINE = f"{OUR_ENGINES}db"
        settings.SESSION_HANDOVER_FROM = "mongodb"
        del settings.SESSION_MONGODB_URL
        [message] = [found for found in run_checks() if found.id == "engines.E002"]
        assert "SESSION_MONGODB_URL" in str(message.msg)

    def test_taken_key_is_reported_without_the_key(self, collection: Documents) -> None:
        session = stored(a=1)
        with pytest.raises(CreateError) as raised:
            MongoDBStore().insert(session.session_key, {}, TOMORROW)
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__

    def test_other_index_of_that_name_is_logged(
        self, collection: Documents, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Sessions are stored all the same."""
        collection.drop()
        collection.create_index("expires", expireAfterSeconds=60)
        mongodb_store.next_index_check.clear()
        with caplog.at_level(logging.WARNING):
            session = stored(a=1)
        assert SessionStore(session.session_key).get("a") == 1
        [message] = caplog.messages
        assert "expireAfterSeconds: 0" in message
        assert session.session_key not in message
        collection.drop()
        mongodb_store.next_index_check.clear()


@pytest.fixture(scope="module")
def users_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of such a server, with a place for the user and the password."""
    server = StoppableMongoDB(tmp_path_factory.mktemp("users"))
    server.start()
    with MongoClient[dict[str, Any]](server.url) as client:
        client.admin.command("createUser", "admin", pwd="right", roles=["root"])
        client.admin.command(
            "createUser", "reader", pwd="right", roles=[{"role": "read", "db": "sessions"}]
        )
    server.stop()
    server.start("--auth")
    yield f"mongodb://{{}}@127.0.0.1:{server.port}/sessions?authSource=admin&socketTimeoutMS=20000"
    server.kill()


class TestErrorCodes:
    """The server answers with an error, until it is told to stop."""

    @pytest.fixture(scope="class")
    @classmethod
    def failing_url(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        server = StoppableMongoDB(tmp_path_factory.mktemp("failing"))
        server.start(*TEST_COMMANDS)
        yield quick(server.url)
        server.kill()

    @pytest.fixture
    def fail(
        self, failing_url: str, settings: Settings, request: pytest.FixtureRequest
    ) -> Iterator[Callable[..., None]]:
        """Makes the server answer these commands with an error of that code.

        Each test has a client of its own: after some errors a client waits for the next heartbeat.
        """
        settings.SESSION_MONGODB_URL = f"{failing_url}&appname={request.node.name[:100]}"
        with MongoClient[dict[str, Any]](failing_url) as client:

            def fail(code: int, *commands: str) -> None:
                data = {"failCommands": list(commands), "errorCode": code}
                client.admin.command(
                    "configureFailPoint", "failCommand", mode="alwaysOn", data=data
                )

            yield fail
            client.admin.command("configureFailPoint", "failCommand", mode="off")

    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            *((code, StoreUnavailableError) for code in (6, 43, 50, 91, 112, 133, 189, 462)),
            *((code, StoreUnavailableError) for code in (10107, 11600, 11601, 11602, 13435)),
            *((code, StoreMisconfiguredError) for code in (13, 18, 20, 26, 79, 100, 8000)),
            *((371, StoreReadOnlyError), (14031, StoreFullError)),
        ],
    )
    def test_error_of_the_server_has_its_meaning(
        self, code: int, expected: type[StoreError], fail: Callable[..., None]
    ) -> None:
        session = stored(a=1)
        session["secret"] = "a berry"
        fail(code, "update")
        with pytest.raises(expected) as raised:
            session.save()
        assert "berry" not in f"{raised.value} {raised.value.__cause__}"

    @pytest.mark.parametrize("code", [46, 50, 262])
    def test_session_is_stored_although_the_index_cannot_be_created(
        self, code: int, fail: Callable[..., None], caplog: pytest.LogCaptureFixture
    ) -> None:
        mongodb_store.next_index_check.clear()
        fail(code, "createIndexes")
        session = stored(a=1)
        assert SessionStore(session.session_key).get("a") == 1
        assert "MongoDB may not delete expired sessions" in caplog.text


class TestSecrets:
    URL = "mongodb://siteuser:S3cret%2Fpw@db.example.com:27017/mysite?authSource=admin"

    def test_error_pages_hide_the_password(self, settings: Settings) -> None:
        settings.SESSION_MONGODB_URL, settings.SESSION_MONGODB_PASSWORD = url_and_password(self.URL)
        assert settings.SESSION_MONGODB_PASSWORD == "S3cret/pw"
        shown = SafeExceptionReporterFilter().get_safe_settings()
        assert shown["SESSION_MONGODB_URL"] == (
            "mongodb://siteuser@db.example.com:27017/mysite?authSource=admin"
        )
        assert "S3cret" not in str(shown)

    def test_password_in_the_url_is_warned_of(self, settings: Settings) -> None:
        settings.SESSION_MONGODB_URL = self.URL
        assert "engines.W013" in {found.id for found in run_checks()}
        settings.SESSION_MONGODB_URL, _password = url_and_password(self.URL)
        assert "engines.W013" not in {found.id for found in run_checks()}

    @pytest.mark.parametrize("password", ["q8Zr/Tt3vX", "1234/word", "a?b", "a:b@c"])
    def test_label_never_contains_a_part_of_the_password(self, password: str) -> None:
        hosts, database = hosts_and_database(f"mongodb://site:{password}@db.example.com/mysite")
        assert (hosts, database) == ("db.example.com", "mysite")


class TestUsers:
    """A server that asks for a user and a password."""

    def test_wrong_password(self, users_url: str, settings: Settings) -> None:
        settings.SESSION_MONGODB_URL = users_url.format("admin:wrong")
        with pytest.raises(StoreMisconfiguredError, match="password") as raised:
            stored(a=1)
        assert "wrong" not in str(raised.value)

    def test_user_without_the_right_to_write(self, users_url: str, settings: Settings) -> None:
        settings.SESSION_MONGODB_URL = users_url.format("reader:right")
        session = SessionStore()
        session["secret"] = "a berry"
        with pytest.raises(StoreMisconfiguredError, match="role readWrite") as raised:
            session.save()
        text = f"{raised.value} {raised.value.__cause__}"
        assert "berry" not in text
        assert "Unauthorized" in text

    def test_right_password_in_its_own_setting(self, users_url: str, settings: Settings) -> None:
        settings.SESSION_MONGODB_URL = users_url.format("admin")
        settings.SESSION_MONGODB_PASSWORD = "right"
        session = stored(a=1)
        assert SessionStore(session.session_key).get("a") == 1
        assert "right" not in str(MongoDBStore().label)


class TestLostAnswers:
    """The connection breaks between a command and its answer."""

    @pytest.fixture
    def proxy(self, collection: Documents, settings: Settings) -> Iterator[Proxy]:
        parts = urlsplit(settings.SESSION_MONGODB_URL)
        with proxied((str(parts.hostname), int(parts.port or 0))) as proxy:
            url = f"mongodb://127.0.0.1:{proxy.port}"
            settings.SESSION_MONGODB_URL = f"{direct(url)}&retryWrites=false&retryReads=false"
            # Connected before answers are counted.
            SessionStore("k" * 32).get("a")
            yield proxy

    def test_lost_answer_is_unavailable_and_the_write_may_have_happened(self, proxy: Proxy) -> None:
        session = stored(a=1)
        session["b"] = 2
        proxy.drop_answer()
        with suppress(StoreUnavailableError):
            session.save()
        proxy.pass_all()
        found = SessionStore(session.session_key)
        assert found.session_key == session.session_key
        assert dict(found.items()) in ({"a": 1}, {"a": 1, "b": 2})
        # The same request tries again, whatever has happened.
        session.save()
        assert dict(SessionStore(session.session_key).items()) == {"a": 1, "b": 2}


class TestProcesses:
    def test_threads_share_one_client(self, mongodb_url: str) -> None:
        url = f"{mongodb_url}?appname=threads"
        with ThreadPoolExecutor(16) as threads:
            found = list(threads.map(documents, [url] * 16))
        assert len({id(collection.database.client) for collection in found}) == 1

    def test_forked_process_uses_a_client_of_its_own(self, collection: Documents) -> None:
        session = stored(a=1)
        child = os.fork()
        if child == 0:
            # Whatever happens, the child must not go on as a second test run.
            status = 1
            with suppress(BaseException):
                forked = SessionStore(session.session_key)
                forked["b"] = os.getpid()
                forked.save()
                status = 0
            os._exit(status)
        _pid, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert SessionStore(session.session_key)["b"] == child

    def test_process_ends_without_a_warning(self, mongodb_url: str) -> None:
        code = (
            "import django; django.setup()\n"
            "from cookieproj.engines.mongodb import SessionStore\n"
            "session = SessionStore(); session['a'] = 1; session.save(); print('stored')"
        )
        variables = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "cookieproj.settings.mongodb",
            "MONGODB_URL": mongodb_url,
        }
        ran = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.stdout, ran.stderr) == ("stored\n", "")
