"""A handover during which SECRET_KEY, a host name, the language or the serializer changes."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches as cache_connections
from django.core.signing import TimestampSigner
from django.utils import timezone, translation
from django.utils.crypto import salted_hmac
from django.utils.safestring import SafeString
from pytest_django import Settings

from cookieproj.engines.constants import (
    COOKIE_SALT,
    COPY_MARK,
    EXCHANGED_KEY,
    MONGODB,
    SIGNED_COOKIES,
)
from cookieproj.engines.handover.copy_marks import is_copy, without_copy_mark
from cookieproj.engines.handover.movable_engines import handover_engine
from cookieproj.engines.handover.move_all import Outcome, move
from cookieproj.settings.caches import caches
from tests.conftest import connected, forget_folder
from tests.families import IN_COOKIES

from .conftest import database
from .handover_switch import (
    PAIRS,
    SERVER_PAIRS,
    Browser,
    Switch,
    browser_of_moved_session,
    flush,
    only_switches,
)

FROM_SERVER = only_switches(pair for pair in PAIRS if pair[0] not in IN_COOKIES)
TO_COOKIES = only_switches(pair for pair in PAIRS if pair[1] in IN_COOKIES)
FROM_COOKIES = only_switches(pair for pair in PAIRS if pair[0] in IN_COOKIES)

Change = Callable[[], None]


def rotate_secret_key(settings: Settings) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key-that-is-long-enough-for-django-0123456789abcdefghij"


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as cleanup:
        yield cleanup


@pytest.fixture(params=["SECRET_KEY", "names", "language"])
def change(
    request: pytest.FixtureRequest,
    settings: Settings,
    cleanup: ExitStack,
    tmp_path_factory: pytest.TempPathFactory,
    redis_url: str,
    sqlite_sessions_url: str,
) -> Change:
    """The change: another secret key, host name, or language of the server."""

    def rename_stores() -> None:
        links = tmp_path_factory.mktemp("links")
        (links / "sessions").symlink_to(settings.SESSION_FILE_PATH)
        settings.SESSION_FILE_PATH = links / "sessions"
        forget_folder()
        settings.CACHES = caches(f"{redis_url.replace('127.0.0.1', 'localhost')}/0")
        (links / "sqlite3").symlink_to(Path(sqlite_sessions_url.removeprefix("sqlite:///")))
        cleanup.enter_context(connected(f"sqlite:///{links}/sqlite3"))

    def change_language() -> None:
        settings.LANGUAGE_CODE = "zh-hans"
        translation.activate("zh-hans")

    changes: dict[str, Change] = {
        "SECRET_KEY": lambda: rotate_secret_key(settings),
        "names": rename_stores,
        "language": change_language,
    }
    return changes[request.param]


def copy_ahead(switch: Switch) -> dict[Outcome, int]:
    counts: dict[Outcome, int] = {}
    for outcomes in move(handover_engine(switch.old), handover_engine(switch.new), 100, keep=True):
        counts |= outcomes
    return counts


def test_sessions_are_kept_and_ended_sessions_open_nothing(switch: Switch, change: Change) -> None:
    browser, ended = Browser(), Browser()
    browser.set(a=1)
    ended.set(a=2)
    before = [browser.copy(), ended.copy()]
    change()
    assert browser.read() == {"a": 1}
    switch.make()
    assert browser.read() == {"a": 1}
    browser.set(b=2)
    assert browser.read() == {"a": 1, "b": 2}
    ended.visit(flush)
    browser.visit(flush)
    assert [copy.read() for copy in before] == [{}, {}]


@FROM_SERVER
def test_session_that_ended_before_the_switch_opens_nothing(switch: Switch, change: Change) -> None:
    browser = Browser()
    browser.set(a=1)
    before = browser.copy()
    browser.visit(flush)
    change()
    switch.make()
    assert before.read() == {}


def browsers_with_copies(switch: Switch, change: Change) -> dict[str, Browser]:
    """Copy sessions ahead of the switch. Some change or end in the old engine after that."""
    names = ("same", "ended", "changed", "ended after", "changed after")
    browsers = {name: Browser() for name in names}
    for browser in browsers.values():
        browser.set(a=1)
    copies = {name: browser.copy() for name, browser in browsers.items()}
    assert copy_ahead(switch) == {Outcome.MOVED: len(names)}
    browsers["ended"].visit(flush)
    browsers["changed"].set(cart=2)
    change()
    browsers["ended after"].visit(flush)
    browsers["changed after"].set(cart=3)
    return copies


def read(browsers: dict[str, Browser]) -> dict[str, Any]:
    return {name: browser.read() for name, browser in browsers.items()}


DATA_OF_ORIGINALS = {
    "same": {"a": 1},
    "ended": {},
    "changed": {"a": 1, "cart": 2},
    "ended after": {},
    "changed after": {"a": 1, "cart": 3},
}


@only_switches(SERVER_PAIRS)
def test_copies_made_before_the_switch_open_like_their_originals(
    switch: Switch, change: Change
) -> None:
    browsers = browsers_with_copies(switch, change)
    switch.make()
    before = browsers["same"].copy()
    assert read(browsers) == DATA_OF_ORIGINALS
    browsers["same"].visit(flush)
    assert before.read() == {}


@only_switches(SERVER_PAIRS)
def test_process_of_the_old_engine_opens_the_originals_of_copies(
    switch: Switch, change: Change
) -> None:
    """Processes of both engines serve the same browsers."""
    browsers = browsers_with_copies(switch, change)
    switch.back()
    assert read(browsers) == DATA_OF_ORIGINALS
    switch.make()
    assert read(browsers) == DATA_OF_ORIGINALS


@only_switches(SERVER_PAIRS)
def test_last_move_deletes_copies_of_ended_sessions(switch: Switch, change: Change) -> None:
    browsers = browsers_with_copies(switch, change)
    switch.run(switch.new, "")
    for _outcomes in move(handover_engine(switch.old), handover_engine(switch.new), 100):
        pass
    assert read(browsers) == DATA_OF_ORIGINALS


@only_switches(SERVER_PAIRS)
def test_second_run_replaces_only_changed_copies(switch: Switch, change: Change) -> None:
    browsers = browsers_with_copies(switch, change)
    assert copy_ahead(switch) == {Outcome.MOVED: 2, Outcome.ALREADY_IN_NEW: 1}
    switch.make()
    assert read(browsers) == DATA_OF_ORIGINALS


def unconfirmed(switch: Switch) -> tuple[Browser, Browser]:
    """Return a browser that has not yet sent its new cookie, and a copy with the session key."""
    browser = browser_of_moved_session(switch)
    late = browser.copy()
    browser.read()
    return browser, late


@TO_COOKIES
class TestServerToCookie:
    def test_writes_with_the_old_key_are_merged(self, switch: Switch, change: Change) -> None:
        browser, late = unconfirmed(switch)
        late.set(b=2)
        change()
        late.set(c=3)
        assert browser.read() == {"a": 1, "b": 2, "c": 3}

    @pytest.mark.parametrize("ends_before", [True, False])
    def test_session_that_ended_under_the_old_key_opens_nothing(
        self, switch: Switch, change: Change, ends_before: bool
    ) -> None:
        browser, late = unconfirmed(switch)
        if ends_before:
            late.visit(flush)
        change()
        if not ends_before:
            late.visit(flush)
        assert browser.read() == {}

    def test_sign_out_ends_the_session_under_the_old_key(
        self, switch: Switch, change: Change
    ) -> None:
        browser, late = unconfirmed(switch)
        browser.read()
        change()
        browser.visit(flush)
        assert late.read() == {}

    def test_switch_back_merges_writes_and_opens_no_ended_session(
        self, switch: Switch, change: Change
    ) -> None:
        browser, late = unconfirmed(switch)
        ended, ended_late = unconfirmed(switch)
        switch.back()
        late.set(b=2)
        ended_late.visit(flush)
        change()
        assert browser.read() == {"a": 1, "b": 2}
        assert ended.read() == {}


@FROM_COOKIES
@pytest.mark.parametrize("ends_before", [True, False])
def test_cookie_of_an_ended_session_opens_nothing(
    switch: Switch, change: Change, ends_before: bool
) -> None:
    browser = browser_of_moved_session(switch)
    before = browser.copy()
    browser.set(b=2)
    if not ends_before:
        change()
        assert before.copy().read() == {"a": 1, "b": 2}
    browser.visit(flush)
    if ends_before:
        change()
    assert before.read() == {}


@only_switches([("db", "cache"), ("cached_db", "file"), ("db", "signed_cookies")])
def test_new_host_name_of_the_database(
    switch: Switch, mariadb_sessions_url: str, cleanup: ExitStack
) -> None:
    def rename_host() -> None:
        url = mariadb_sessions_url.replace("127.0.0.1", "localhost")
        assert url != mariadb_sessions_url
        cleanup.enter_context(connected(url))

    with database(mariadb_sessions_url):
        if switch.new in IN_COOKIES:
            browser, late = unconfirmed(switch)
            late.visit(flush)
            rename_host()
            assert browser.read() == {}
        else:
            browsers = browsers_with_copies(switch, rename_host)
            switch.make()
            assert read(browsers) == DATA_OF_ORIGINALS


class TestOfEarlierVersions:
    """Earlier versions identified a store by an HMAC of its label, with SECRET_KEY."""

    @pytest.fixture
    def label(self, switch: Switch, redis_url: str, sqlite_sessions_url: str) -> str:
        """The label of the old store in earlier versions."""
        table = f"table django_session, SQLite {sqlite_sessions_url.removeprefix('sqlite:///')}"
        server = redis_url.removeprefix("redis://")
        return {
            "db": table,
            "cached_db": table,
            "cache": f"Redis {server}/1",
            "file": f"folder {switch.settings.SESSION_FILE_PATH}",
        }[switch.old]

    def test_legacy_names_and_marks_have_literal_values(self, settings: Settings) -> None:
        settings.SECRET_KEY = "k" * 50
        label = "table django_session, PostgreSQL site at db.example.com:5432"
        assert legacy_name(label) == "57d26822"
        assert legacy_mark(label, {"a": 1, "cart": [1, None, "é"]}) == "fb505d6eb864f03e"

    @only_switches(pair for pair in SERVER_PAIRS if MONGODB not in pair)
    @pytest.mark.parametrize("is_rotated", [True, False])
    def test_copies_open_like_their_originals(
        self, switch: Switch, label: str, is_rotated: bool
    ) -> None:
        same, ended, changed = browsers = Browser(), Browser(), Browser()
        for browser in browsers:
            browser.set(a=1)
            data = {"a": 1, COPY_MARK: legacy_mark(label, {"a": 1})}
            copy = switch.store(switch.new)()
            copy._session_key, copy._session_cache = browser.cookie, data
            copy.save(must_create=True)
        before = ended.copy()
        ended.visit(flush)
        changed.set(b=2)
        if is_rotated:
            rotate_secret_key(switch.settings)
        switch.make()
        assert [visitor.read() for visitor in (same, before, changed)] == [
            {"a": 1},
            {},
            {"a": 1, "b": 2},
        ]

    @only_switches(pair for pair in PAIRS if pair[1] == SIGNED_COOKIES and pair[0] != MONGODB)
    @pytest.mark.parametrize("is_rotated", [True, False])
    @pytest.mark.parametrize("goes_back", [True, False])
    def test_exchanged_cookies_open_the_old_session(
        self, switch: Switch, label: str, is_rotated: bool, goes_back: bool
    ) -> None:
        browser, late = browser_of_moved_session(switch), Browser()
        late.cookie = browser.cookie
        data = {"a": 1, EXCHANGED_KEY: [browser.cookie, False, legacy_name(label)]}
        browser.cookie = TimestampSigner(salt=COOKIE_SALT).sign_object(data)
        ended = browser.copy()
        if goes_back:
            switch.back()
        late.set(b=2)
        if is_rotated:
            rotate_secret_key(switch.settings)
        assert browser.copy().read() == {"a": 1, "b": 2}
        late.visit(flush)
        assert ended.read() == {}


def legacy_name(label: str) -> str:
    return salted_hmac("cookieproj.engines.handover", label, algorithm="sha256").hexdigest()[:8]


def legacy_mark(label: str, data: dict[str, Any]) -> str:
    text = json.dumps([label, data], sort_keys=True, default=repr)
    salt = "cookieproj.engines.handover.copies"
    return salted_hmac(salt, text, algorithm="sha256").hexdigest()[:16]


@TO_COOKIES
@pytest.mark.parametrize(
    "previous",
    ["ab", "abc", [], ["k" * 32], ["k" * 32, True], {"a": 1}, 7, None, [None, None, None]],
    ids=str,
)
def test_session_with_any_value_under_the_exchanged_key_opens(
    switch: Switch, previous: Any
) -> None:
    """The item belongs to the handover, but a site may let visitors choose keys of a session."""
    for run in (switch.make, switch.back):
        run()
        data = {"a": 1, EXCHANGED_KEY: previous}
        browser = Browser(switch.store(switch.new)().make_cookie(data, timezone.now()))
        assert browser.read()["a"] == 1


class Color(IntEnum):
    RED = 1


class TestSerializers:
    """The copy mark is computed from the data in the form that the new store returns."""

    @pytest.fixture
    def pickling(self, switch: Switch, redis_url: str) -> None:
        cache_settings = caches(f"{redis_url}/0")
        serializer = "django_redis.serializers.pickle.PickleSerializer"
        cache_settings["sessions"]["OPTIONS"]["SERIALIZER"] = serializer
        switch.settings.CACHES = cache_settings
        cache_connections["sessions"].clear()

    @only_switches([("cache", "db"), ("cache", "file"), ("cache", "cached_db")])
    @pytest.mark.parametrize(
        "data",
        [
            {"a": (1, (2, 3))},
            {"a": {1: "x", 2: "y"}},
            {1: "x", "a": "y"},
            {"a": {None: 1, True: 2, "b": 3}},
            {"a": SafeString("<b>")},
            {"a": Color.RED},
            {"a": float("inf")},
            {"a": float("nan")},
            {"a": "\ud800"},
        ],
        ids=ascii,
    )
    def test_copy_in_another_form_ends_with_its_original(
        self, switch: Switch, pickling: None, data: Any
    ) -> None:
        browser, ended = Browser(), Browser()
        browser.visit(lambda session: session.update(data))
        ended.visit(lambda session: session.update(data))
        before = ended.copy()
        assert copy_ahead(switch) == {Outcome.MOVED: 2}
        ended.visit(flush)
        browser.set(b=2)
        switch.make()
        assert before.read() == {}
        assert browser.read()["b"] == 2

    @only_switches([("db", "cache"), ("file", "cache")])
    def test_pickled_copy_ends_with_its_original(self, switch: Switch, pickling: None) -> None:
        browser = Browser()
        browser.set(a=[1, {"b": None}])
        before = browser.copy()
        assert copy_ahead(switch) == {Outcome.MOVED: 1}
        browser.visit(flush)
        switch.make()
        assert before.read() == {}


def test_session_with_a_copy_mark_of_its_visitor_is_no_copy(switch: Switch) -> None:
    browser = Browser()
    browser.set(**{COPY_MARK: "x" * 32, "a": 1})
    switch.make()
    assert without_copy_mark(browser.read()) == {"a": 1}
    assert not is_copy_of_anything(browser, switch)


def is_copy_of_anything(browser: Browser, switch: Switch) -> bool:
    if switch.new in IN_COOKIES or switch.old in IN_COOKIES:
        return False
    stored = switch.place(switch.new).read(browser.cookie or "")
    return stored is not None and is_copy(stored, switch.place(switch.old))
