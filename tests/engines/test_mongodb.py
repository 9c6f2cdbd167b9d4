"""The engine mongodb: its documents, their index, and what each failure of the server means."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
from bson import Binary
from django.contrib.sessions.backends.base import CreateError
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
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
    StoreFullError,
    StoreMisconfiguredError,
    StoreUnavailableError,
)
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.mongodb import SessionStore
from cookieproj.engines.mongodb_client import Documents, documents
from cookieproj.engines.mongodb_store import MongoDBStore
from cookieproj.engines.round_trips import count_round_trips
from tests.conftest import empty_mongodb
from tests.proxy import Proxy, proxied
from tests.servers import StoppableMongoDB

from .test_round_trips import plain, read, sign_in, sign_out, write

TOMORROW = datetime.now(UTC) + timedelta(days=1)
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def collection(settings: Settings, mongodb_url: str) -> Documents:
    """The empty collection of the running engine."""
    settings.SESSION_ENGINE = f"{OUR_ENGINES}mongodb"
    empty_mongodb(settings, mongodb_url)
    return documents(mongodb_url)


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[StoppableMongoDB]:
    """A server that the test may stop, with short time-outs."""
    server = StoppableMongoDB(tmp_path)
    server.start()
    settings.SESSION_MONGODB_URL = quick(server.url)
    yield server
    server.kill()


def quick(url: str) -> str:
    return f"{url}/sessions?directConnection=true&serverSelectionTimeoutMS=300&socketTimeoutMS=300"


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
        mongodb_store.ensure_index.cache_clear()
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

    def test_document_without_an_expiry_is_not_listed(self, collection: Documents) -> None:
        collection.insert_one({"_id": "k" * 32, "data": b"{}"})
        assert list(SessionStore.walk()) == []
        assert SessionStore.clear_expired() == 0

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
        self, fail: Callable[[StoppableMongoDB], None], server: StoppableMongoDB
    ) -> None:
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

    def test_session_that_is_too_large_is_refused(self, collection: Documents) -> None:
        with pytest.raises(StoreFullError, match="16 MiB"):
            stored(text="x" * 17_000_000)

    @pytest.mark.parametrize(
        "option", ["nosuch=1", "socketTimeoutMS=soon", "w=majority&authMechanism=none"]
    )
    def test_wrong_option_is_a_wrong_setup(
        self, option: str, collection: Documents, settings: Settings
    ) -> None:
        settings.SESSION_MONGODB_URL += f"?{option}"
        with pytest.raises(StoreMisconfiguredError, match="Correct SESSION_MONGODB_URL"):
            stored(a=1)

    def test_wrong_port_is_a_wrong_setup(self, settings: Settings) -> None:
        settings.SESSION_MONGODB_URL = "mongodb://localhost:99999/x"
        with pytest.raises(StoreMisconfiguredError, match="Port"):
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
        mongodb_store.ensure_index.cache_clear()
        with caplog.at_level(logging.WARNING):
            session = stored(a=1)
        assert SessionStore(session.session_key).get("a") == 1
        [message] = caplog.messages
        assert "expireAfterSeconds: 0" in message
        assert session.session_key not in message
        collection.drop()
        mongodb_store.ensure_index.cache_clear()


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

    def test_right_password(self, users_url: str, settings: Settings) -> None:
        settings.SESSION_MONGODB_URL = users_url.format("admin:right")
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
            settings.SESSION_MONGODB_URL = f"{quick(url)}&retryWrites=false&retryReads=false"
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
