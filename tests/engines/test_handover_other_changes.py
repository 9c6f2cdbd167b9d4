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
INTO_COOKIES = only_switches(pair for pair in PAIRS if pair[1] in IN_COOKIES)
OUT_OF_COOKIES = only_switches(pair for pair in PAIRS if pair[0] in IN_COOKIES)

Change = Callable[[], None]


def another_secret_key(settings: Settings) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key-that-is-long-enough-for-django-0123456789abcdefghij"


@pytest.fixture
def undone() -> Iterator[ExitStack]:
    with ExitStack() as undone:
        yield undone


@pytest.fixture(params=["SECRET_KEY", "names", "language"])
def change(
    request: pytest.FixtureRequest,
    settings: Settings,
    undone: ExitStack,
    tmp_path_factory: pytest.TempPathFactory,
    redis_url: str,
    sqlite_sessions_url: str,
) -> Change:
    """The change: another secret key, host name, or language of the server."""

    def other_names() -> None:
        links = tmp_path_factory.mktemp("links")
        (links / "sessions").symlink_to(settings.SESSION_FILE_PATH)
        settings.SESSION_FILE_PATH = links / "sessions"
        forget_folder()
        settings.CACHES = caches(f"{redis_url.replace('127.0.0.1', 'localhost')}/0")
        (links / "sqlite3").symlink_to(Path(sqlite_sessions_url.removeprefix("sqlite:///")))
        undone.enter_context(connected(f"sqlite:///{links}/sqlite3"))

    def another_language() -> None:
        settings.LANGUAGE_CODE = "zh-hans"
        translation.activate("zh-hans")

    changes: dict[str, Change] = {
        "SECRET_KEY": lambda: another_secret_key(settings),
        "names": other_names,
        "language": another_language,
    }
    return changes[request.param]


def copy_ahead(switch: Switch) -> dict[Outcome, int]:
    counted: dict[Outcome, int] = {}
    for outcomes in move(handover_engine(switch.old), handover_engine(switch.new), 100, keep=True):
        counted |= outcomes
    return counted


def test_who_is_there_stays_and_who_left_is_out(switch: Switch, change: Change) -> None:
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
def test_what_ended_before_opens_nothing(switch: Switch, change: Change) -> None:
    browser = Browser()
    browser.set(a=1)
    before = browser.copy()
    browser.visit(flush)
    change()
    switch.make()
    assert before.read() == {}


def after_copies(switch: Switch, change: Change) -> dict[str, Browser]:
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


AS_THEY_WERE_LEFT = {
    "same": {"a": 1},
    "ended": {},
    "changed": {"a": 1, "cart": 2},
    "ended after": {},
    "changed after": {"a": 1, "cart": 3},
}


@only_switches(SERVER_PAIRS)
def test_of_copies_ahead_the_originals_count(switch: Switch, change: Change) -> None:
    browsers = after_copies(switch, change)
    switch.make()
    before = browsers["same"].copy()
    assert read(browsers) == AS_THEY_WERE_LEFT
    browsers["same"].visit(flush)
    assert before.read() == {}


@only_switches(SERVER_PAIRS)
def test_also_for_processes_that_look_at_the_new_store_before_the_switch(
    switch: Switch, change: Change
) -> None:
    """Processes of both engines serve the same browsers."""
    browsers = after_copies(switch, change)
    switch.back()
    assert read(browsers) == AS_THEY_WERE_LEFT
    switch.make()
    assert read(browsers) == AS_THEY_WERE_LEFT


@only_switches(SERVER_PAIRS)
def test_the_last_run_ends_copies_of_what_has_ended(switch: Switch, change: Change) -> None:
    browsers = after_copies(switch, change)
    switch.run(switch.new, "")
    for _outcomes in move(handover_engine(switch.old), handover_engine(switch.new), 100):
        pass
    assert read(browsers) == AS_THEY_WERE_LEFT


@only_switches(SERVER_PAIRS)
def test_copies_made_again_find_those_of_before(switch: Switch, change: Change) -> None:
    browsers = after_copies(switch, change)
    assert copy_ahead(switch) == {Outcome.MOVED: 2, Outcome.ALREADY_IN_NEW: 1}
    switch.make()
    assert read(browsers) == AS_THEY_WERE_LEFT


def unsettled(switch: Switch) -> tuple[Browser, Browser]:
    """Return a browser that has not yet sent its new cookie, and a copy with the session key."""
    browser = browser_of_moved_session(switch)
    late = browser.copy()
    browser.read()
    return browser, late


@INTO_COOKIES
class TestIntoCookies:
    def test_what_others_write_comes_along(self, switch: Switch, change: Change) -> None:
        browser, late = unsettled(switch)
        late.set(b=2)
        change()
        late.set(c=3)
        assert browser.read() == {"a": 1, "b": 2, "c": 3}

    @pytest.mark.parametrize("ends_before", [True, False])
    def test_what_ended_under_its_key_opens_nothing(
        self, switch: Switch, change: Change, ends_before: bool
    ) -> None:
        browser, late = unsettled(switch)
        if ends_before:
            late.visit(flush)
        change()
        if not ends_before:
            late.visit(flush)
        assert browser.read() == {}

    def test_a_sign_out_ends_it_under_its_key(self, switch: Switch, change: Change) -> None:
        browser, late = unsettled(switch)
        browser.read()
        change()
        browser.visit(flush)
        assert late.read() == {}

    def test_and_back_again(self, switch: Switch, change: Change) -> None:
        browser, late = unsettled(switch)
        ended, left = unsettled(switch)
        switch.back()
        late.set(b=2)
        left.visit(flush)
        change()
        assert browser.read() == {"a": 1, "b": 2}
        assert ended.read() == {}


@OUT_OF_COOKIES
@pytest.mark.parametrize("ends_before", [True, False])
def test_a_cookie_whose_session_ended_opens_nothing(
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
def test_another_name_of_the_databases_host(
    switch: Switch, mariadb_sessions_url: str, undone: ExitStack
) -> None:
    def another_name() -> None:
        url = mariadb_sessions_url.replace("127.0.0.1", "localhost")
        assert url != mariadb_sessions_url
        undone.enter_context(connected(url))

    with database(mariadb_sessions_url):
        if switch.new in IN_COOKIES:
            browser, late = unsettled(switch)
            late.visit(flush)
            another_name()
            assert browser.read() == {}
        else:
            browsers = after_copies(switch, another_name)
            switch.make()
            assert read(browsers) == AS_THEY_WERE_LEFT


class TestOfEarlierVersions:
    """Earlier versions identified a store by an HMAC of its label, with SECRET_KEY."""

    @pytest.fixture
    def place(self, switch: Switch, redis_url: str, sqlite_sessions_url: str) -> str:
        """The label of the old store in earlier versions."""
        table = f"table django_session, SQLite {sqlite_sessions_url.removeprefix('sqlite:///')}"
        server = redis_url.removeprefix("redis://")
        return {
            "db": table,
            "cached_db": table,
            "cache": f"Redis {server}/1",
            "file": f"folder {switch.settings.SESSION_FILE_PATH}",
        }[switch.old]

    def test_names_and_marks_are_what_they_were(self, settings: Settings) -> None:
        settings.SECRET_KEY = "k" * 50
        place = "table django_session, PostgreSQL site at db.example.com:5432"
        assert name_then(place) == "57d26822"
        assert mark_then(place, {"a": 1, "cart": [1, None, "é"]}) == "fb505d6eb864f03e"

    @only_switches(pair for pair in SERVER_PAIRS if MONGODB not in pair)
    @pytest.mark.parametrize("is_rotated", [True, False])
    def test_copies(self, switch: Switch, place: str, is_rotated: bool) -> None:
        same, ended, changed = browsers = Browser(), Browser(), Browser()
        for browser in browsers:
            browser.set(a=1)
            data = {"a": 1, COPY_MARK: mark_then(place, {"a": 1})}
            copy = switch.store(switch.new)()
            copy._session_key, copy._session_cache = browser.cookie, data
            copy.save(must_create=True)
        before = ended.copy()
        ended.visit(flush)
        changed.set(b=2)
        if is_rotated:
            another_secret_key(switch.settings)
        switch.make()
        assert [each.read() for each in (same, before, changed)] == [{"a": 1}, {}, {"a": 1, "b": 2}]

    @only_switches(pair for pair in PAIRS if pair[1] == SIGNED_COOKIES and pair[0] != MONGODB)
    @pytest.mark.parametrize("is_rotated", [True, False])
    @pytest.mark.parametrize("goes_back", [True, False])
    def test_cookies(self, switch: Switch, place: str, is_rotated: bool, goes_back: bool) -> None:
        browser, late = browser_of_moved_session(switch), Browser()
        late.cookie = browser.cookie
        data = {"a": 1, EXCHANGED_KEY: [browser.cookie, False, name_then(place)]}
        browser.cookie = TimestampSigner(salt=COOKIE_SALT).sign_object(data)
        ended = browser.copy()
        if goes_back:
            switch.back()
        late.set(b=2)
        if is_rotated:
            another_secret_key(switch.settings)
        assert browser.copy().read() == {"a": 1, "b": 2}
        late.visit(flush)
        assert ended.read() == {}


def name_then(place: str) -> str:
    return salted_hmac("cookieproj.engines.handover", place, algorithm="sha256").hexdigest()[:8]


def mark_then(place: str, data: dict[str, Any]) -> str:
    text = json.dumps([place, data], sort_keys=True, default=repr)
    salt = "cookieproj.engines.handover.copies"
    return salted_hmac(salt, text, algorithm="sha256").hexdigest()[:16]


@INTO_COOKIES
@pytest.mark.parametrize(
    "previous",
    ["ab", "abc", [], ["k" * 32], ["k" * 32, True], {"a": 1}, 7, None, [None, None, None]],
    ids=str,
)
def test_a_session_that_holds_anything_there_is_a_session(switch: Switch, previous: Any) -> None:
    """The item belongs to the handover, but a site may let visitors choose keys of a session."""
    for turn in (switch.make, switch.back):
        turn()
        data = {"a": 1, EXCHANGED_KEY: previous}
        browser = Browser(switch.store(switch.new)().make_cookie(data, timezone.now()))
        assert browser.read()["a"] == 1


class Color(IntEnum):
    RED = 1


class TestSerializers:
    """The copy mark is computed of the data in the form that the new store returns."""

    @pytest.fixture
    def pickling(self, switch: Switch, redis_url: str) -> None:
        found = caches(f"{redis_url}/0")
        serializer = "django_redis.serializers.pickle.PickleSerializer"
        found["sessions"]["OPTIONS"]["SERIALIZER"] = serializer
        switch.settings.CACHES = found
        cache_connections["sessions"].clear()

    @only_switches([("cache", "db"), ("cache", "file"), ("cache", "cached_db")])
    @pytest.mark.parametrize(
        "held",
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
    def test_that_store_another_form(self, switch: Switch, pickling: None, held: Any) -> None:
        browser, ended = Browser(), Browser()
        browser.visit(lambda session: session.update(held))
        ended.visit(lambda session: session.update(held))
        before = ended.copy()
        assert copy_ahead(switch) == {Outcome.MOVED: 2}
        ended.visit(flush)
        browser.set(b=2)
        switch.make()
        assert before.read() == {}
        assert browser.read()["b"] == 2

    @only_switches([("db", "cache"), ("file", "cache")])
    def test_that_pickle(self, switch: Switch, pickling: None) -> None:
        browser = Browser()
        browser.set(a=[1, {"b": None}])
        before = browser.copy()
        assert copy_ahead(switch) == {Outcome.MOVED: 1}
        browser.visit(flush)
        switch.make()
        assert before.read() == {}


def test_what_visitors_call_a_copy_is_their_own_session(switch: Switch) -> None:
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
