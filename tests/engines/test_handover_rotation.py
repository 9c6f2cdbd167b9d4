"""A switch in the midst of which something else changes: SECRET_KEY, names of hosts, a language."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.cache import caches as cache_connections
from django.core.signing import TimestampSigner
from django.utils import translation
from django.utils.crypto import salted_hmac
from django.utils.safestring import SafeString
from pytest_django import Settings

from cookieproj.engines.constants import COOKIE_SALT, COPY_MARK, EXCHANGED_KEY
from cookieproj.engines.handover.comparing_stores import handover_engine
from cookieproj.engines.handover.copy_marks import is_copy, without_copy_mark
from cookieproj.engines.handover.data_digest import digest
from cookieproj.engines.handover.move_all import Outcome, move
from cookieproj.settings.caches import caches
from tests.conftest import connected, forget_folder

from .conftest import database
from .handing_over import APART, PAIRS, Browser, Switch, flush, moved, only

FROM_SERVER = only(pair for pair in PAIRS if pair[0] != "signed_cookies")
INTO_COOKIES = only(pair for pair in PAIRS if pair[1] == "signed_cookies")
OUT_OF_COOKIES = only(pair for pair in PAIRS if pair[0] == "signed_cookies")

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
    """The same stores, by another key, under other names, or by a server of another language."""

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
    """Sessions that are copied ahead, some of which the old engine has changed or ended since."""
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


@only(APART)
def test_of_copies_ahead_the_originals_count(switch: Switch, change: Change) -> None:
    browsers = after_copies(switch, change)
    switch.make()
    before = browsers["same"].copy()
    assert read(browsers) == AS_THEY_WERE_LEFT
    browsers["same"].visit(flush)
    assert before.read() == {}


@only(APART)
def test_also_for_processes_that_look_at_the_new_store_before_the_switch(
    switch: Switch, change: Change
) -> None:
    """As they do while processes of both engines serve the same people."""
    browsers = after_copies(switch, change)
    switch.back()
    assert read(browsers) == AS_THEY_WERE_LEFT
    switch.make()
    assert read(browsers) == AS_THEY_WERE_LEFT


@only(APART)
def test_the_last_run_ends_copies_of_what_has_ended(switch: Switch, change: Change) -> None:
    browsers = after_copies(switch, change)
    switch.run(switch.new, "")
    for _outcomes in move(handover_engine(switch.old), handover_engine(switch.new), 100):
        pass
    assert read(browsers) == AS_THEY_WERE_LEFT


@only(APART)
def test_copies_made_again_find_those_of_before(switch: Switch, change: Change) -> None:
    browsers = after_copies(switch, change)
    assert copy_ahead(switch) == {Outcome.MOVED: 2, Outcome.THERE: 1}
    switch.make()
    assert read(browsers) == AS_THEY_WERE_LEFT


def unsettled(switch: Switch) -> tuple[Browser, Browser]:
    """A browser that has not yet sent its new cookie, and a late request with the session key."""
    browser = moved(switch)
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
    browser = moved(switch)
    before = browser.copy()
    browser.set(b=2)
    if not ends_before:
        change()
        assert before.copy().read() == {"a": 1, "b": 2}
    browser.visit(flush)
    if ends_before:
        change()
    assert before.read() == {}


@only([("db", "cache"), ("cached_db", "file"), ("db", "signed_cookies")])
def test_another_name_of_the_databases_host(
    switch: Switch, mariadb_sessions_url: str, undone: ExitStack
) -> None:
    def another_name() -> None:
        url = mariadb_sessions_url.replace("127.0.0.1", "localhost")
        assert url != mariadb_sessions_url
        undone.enter_context(connected(url))

    with database(mariadb_sessions_url):
        if switch.new == "signed_cookies":
            browser, late = unsettled(switch)
            late.visit(flush)
            another_name()
            assert browser.read() == {}
        else:
            browsers = after_copies(switch, another_name)
            switch.make()
            assert read(browsers) == AS_THEY_WERE_LEFT


class TestOfEarlierVersions:
    """They knew a store by an HMAC over its sentence, with the SECRET_KEY of then."""

    @pytest.fixture
    def place(self, switch: Switch, redis_url: str, sqlite_sessions_url: str) -> str:
        """What earlier versions called the old store."""
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

    @only(APART)
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

    @INTO_COOKIES
    @pytest.mark.parametrize("is_rotated", [True, False])
    @pytest.mark.parametrize("goes_back", [True, False])
    def test_cookies(self, switch: Switch, place: str, is_rotated: bool, goes_back: bool) -> None:
        browser, late = moved(switch), Browser()
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
    """The entry is the handover's, but a site may let its visitors name the keys of a session."""
    for turn in (switch.make, switch.back):
        turn()
        browser = Browser(
            TimestampSigner(salt=COOKIE_SALT).sign_object({"a": 1, EXCHANGED_KEY: previous})
        )
        assert browser.read()["a"] == 1


class Color(IntEnum):
    RED = 1


class Basket:
    def __init__(self, *things: Any) -> None:
        self.things = set(things)


class TestSerializers:
    """What the new store gives back is what its copy is known by."""

    @pytest.fixture
    def pickling(self, switch: Switch, redis_url: str) -> None:
        found = caches(f"{redis_url}/0")
        serializer = "django_redis.serializers.pickle.PickleSerializer"
        found["sessions"]["OPTIONS"]["SERIALIZER"] = serializer
        switch.settings.CACHES = found
        cache_connections["sessions"].clear()

    @only([("cache", "db"), ("cache", "file"), ("cache", "cached_db")])
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

    @only([("db", "cache"), ("file", "cache")])
    def test_that_pickle(self, switch: Switch, pickling: None) -> None:
        browser = Browser()
        browser.set(a=[1, {"b": None}])
        before = browser.copy()
        assert copy_ahead(switch) == {Outcome.MOVED: 1}
        browser.visit(flush)
        switch.make()
        assert before.read() == {}


ANYTHING = """
import django

django.setup()

from datetime import date, datetime, UTC
from decimal import Decimal
from uuid import UUID
from enum import IntEnum
from django.utils.safestring import SafeString
from collections import OrderedDict, defaultdict, Counter
from cookieproj.engines.handover.data_digest import digest

class Color(IntEnum):
    RED = 1

class Basket:
    def __init__(self, *things):
        self.things = set(things)

anything = {
    "set": {"a", "b", "c", ("d", 1), frozenset({"e", "f"})},
    "frozenset": frozenset("abcdefg"),
    "object": Basket("a", "b", "c", frozenset({"d", "e"})),
    "types": {int, str, Basket},
    1: "mixed", None: "keys", ("t", 1): "tuple", frozenset({"x", "y"}): "set",
    "dates": [date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)],
    "nan": float("nan"), "decimal": Decimal("1.10"), "uuid": UUID(int=7), "enum": Color.RED,
    "safe": SafeString("x"), "bytes": b"\\xff", "half": "\\ud800", "huge": 10 ** 5000,
    "dicts": [OrderedDict(a=1), defaultdict(set, a={"x", "y"}), Counter("abcab")],
}
print(digest(anything))
print([digest([key, value]) for key, value in anything.items()])
"""


class TestDigest:
    def test_it_is_the_same_in_every_process(self) -> None:
        told = {
            subprocess.run(
                [sys.executable, "-c", ANYTHING],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2", "3")
        }
        assert len(told) == 1

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (1, True),
            (1, 1.0),
            (1, "1"),
            (0.0, -0.0),
            ("a", b"a"),
            ([1, 2], (1, 2)),
            ([1, 2], [2, 1]),
            ([1, [2]], [[1], 2]),
            ({"a": 1}, {"a": 2}),
            ({"a": "b"}, {"b": "a"}),
            ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
            ({1, 2}, {1, 3}),
            ({1, 2}, frozenset({1, 2})),
            ({1}, {True}),
            (date(2026, 1, 1), date(2026, 1, 2)),
            (Decimal("1.0"), Decimal("1.00")),
            (UUID(int=1), UUID(int=2)),
            (Basket(1), Basket(2)),
            ("x", SafeString("x")),
            (None, "None"),
        ],
    )
    def test_it_tells_values_apart(self, one: Any, other: Any) -> None:
        assert digest(one) == digest(one)
        assert digest({"a": [one]}) != digest({"a": [other]})

    def test_in_whatever_order(self) -> None:
        assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        assert digest(float("nan")) == digest(float("nan"))
        assert digest(Basket(1, 2)) == digest(Basket(2, 1))

    def test_what_stands_in_several_places_is_looked_at_once(self) -> None:
        """To look at each anew would take longer than there is time."""
        shared: list[Any] = []
        for _level in range(100):
            shared = [shared, shared]
        assert len(digest(shared)) == 64

    def test_nothing_is_too_deep(self) -> None:
        deep: list[Any] = []
        for _level in range(100_000):
            deep = [deep]
        assert len(digest(deep)) == 64

    def test_what_holds_itself(self) -> None:
        one, other = Basket(1), Basket(1)
        for basket in (one, other):
            basket.things.add(basket)
        assert digest(one) == digest(other)

    def test_what_no_pickle_can_hold(self) -> None:
        assert digest(sys.stdout) == digest(sys.stdout)


def test_what_visitors_call_a_copy_is_their_own_session(switch: Switch) -> None:
    browser = Browser()
    browser.set(**{COPY_MARK: "x" * 32, "a": 1})
    switch.make()
    assert without_copy_mark(browser.read()) == {"a": 1}
    assert not is_copy_of_anything(browser, switch)


def is_copy_of_anything(browser: Browser, switch: Switch) -> bool:
    if switch.new == "signed_cookies" or switch.old == "signed_cookies":
        return False
    stored = switch.place(switch.new).read(browser.cookie or "")
    return stored is not None and is_copy(stored, switch.place(switch.old))
