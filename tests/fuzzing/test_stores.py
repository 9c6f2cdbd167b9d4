"""What is stored is anything: damaged, of another type, or written by somebody else."""

from typing import Any, NamedTuple

import pytest
from django.contrib.sessions.backends.base import SessionBase
from django.db import connection
from hypothesis import assume
from hypothesis import strategies as st
from pytest_django import Settings

from cookieproj.engines import running_engine
from cookieproj.engines.constants import COOKIE_SALT, TOMBSTONE_MARK
from tests.conftest import on
from tests.families import COOKIE_ENGINES, run_on
from tests.fault_table import Held, Whose

from .conftest import Fuzz, Log, ours
from .inputs import as_json, changed, mutated, twice, values
from .raw_stores import STORES, PostgreSQLRows, Store, is_session, sign
from .site import Look, Site
from .users import CANARY, Person, post, signed_in

COLOR = Look("/sessions/get-item/", query="key=color")

# What goes by the session in some way, and what ends it.
LOOKS = [
    COLOR,
    Look("/auth/account/"),
    Look("/devices/"),
    Look("/session/"),
    Look("/sessions/items/"),
    Look("/lifecycle/session-key/"),
    post("/sessions/set-item/", key="taste", value="sweet"),
    post("/auth/sign-in/", username="mallory", password="cookies"),
    post("/auth/sign-out/"),
    post("/lifecycle/cycle-key/"),
    post("/lifecycle/clear/"),
    post("/expiry/in-seconds/", seconds="60"),
    post("/expiry/by-settings/"),
]


# Where staff sees what is stored; the console clears it.
LISTS = [Look("/admin/cookieproj_engines/"), Look("/admin/cookieproj_engines/storedsession/")]


class Entry(NamedTuple):
    """What is put into a store, and whether a session must come out of it empty."""

    payload: bytes
    is_damaged: bool


def plain(valid: dict[str, Any], charset: str = "utf-8") -> st.SearchStrategy[Entry]:
    """In the place of that session where a cache holds it."""
    payloads = st.one_of(
        mutated(st.just(as_json(valid))),
        changed(valid).map(as_json),
        st.builds(twice, st.just(valid), changed(valid)),
        values.map(as_json),
        st.binary(),
        st.integers(0, 2000).map(lambda depth: b'{"color": ' + b"[" * depth + b"]" * depth + b"}"),
    )
    return payloads.map(lambda payload: Entry(payload, not is_session(payload, charset)))


def signed(valid: dict[str, Any]) -> st.SearchStrategy[Entry]:
    """The same where a row or a file holds it: by somebody who can sign, and by others."""
    text = sign(as_json(valid))
    changes = mutated(st.just(text)).filter(lambda changed: changed != text)
    # Of a file without a byte Django knows that it was just begun.
    unsigned = (changes | st.binary(min_size=1)).filter(bool).map(lambda each: Entry(each, True))
    # Django reads what is signed as Latin-1.
    for_signing = plain(valid, "latin-1")
    return for_signing.map(lambda each: each._replace(payload=sign(each.payload))) | unsigned


@on("db", "file", "cache", "cached_db")
def test_a_session_that_is_anything(
    site: Site, whose: Whose, profile: str, log: Log, fuzz: Fuzz, held: Held
) -> None:
    ada, mallory = signed_in(site, CANARY, CANARY), signed_in(site, "mallory", "blue")
    store = STORES[profile]()
    visits = Visits(site, log, store, ada, mallory, is_ours=whose == "ours")
    tries = fuzz(4, visits.hold, anything(store, mallory), st.sampled_from(LOOKS))
    held(f"A stored session is damaged or wrong, {profile}", whose, tries, visits.lost)


@pytest.mark.parametrize("whose", ["ours", "Django's"])
def test_a_row_of_postgresql_that_is_anything(
    whose: Whose, on_postgresql: None, settings: Settings, log: Log, fuzz: Fuzz, held: Held
) -> None:
    run_on(settings, whose, "db")
    site, store = Site(), PostgreSQLRows()
    ada, mallory = signed_in(site, CANARY, CANARY), signed_in(site, "mallory", "blue")
    visits = Visits(site, log, store, ada, mallory, is_ours=whose == "ours")
    tries = fuzz(2, visits.hold, anything(store, mallory), st.sampled_from(LOOKS))
    held("A stored session is damaged or wrong, db on PostgreSQL", whose, tries, visits.lost)


class Visits:
    """Of one whose stored session is anything, while somebody else's is in the same store."""

    def __init__(
        self, site: Site, log: Log, store: Store, ada: Person, mallory: Person, *, is_ours: bool
    ) -> None:
        self.site, self.log, self.store, self.is_ours = site, log, store, is_ours
        self.ada, self.mallory = ada, mallory
        self.before = store.held(ada.key)
        self.lost = 0

    def hold(self, stored: Entry, look: Look) -> None:
        self.store.plant(self.mallory.key, stored.payload)
        problem = wrong(self.site, look, self.mallory)
        if connection.in_atomic_block and not self.is_ours:
            # A date that no column takes is an error under Django's engine, in the test's own
            # transaction too.
            connection.set_rollback(False)
        if self.store.held(self.ada.key) != self.before:
            problem = "another session is changed"
        said = self.log.said()
        self.lost += bool(problem)
        if self.is_ours:
            assert problem == ""
            assert not [record.exc_info for record in said if record.exc_info]


def anything(store: Store, person: Person) -> st.SearchStrategy[Entry]:
    return (signed if store.signed else plain)(data_of(person))


def data_of(person: Person) -> dict[str, Any]:
    """With all that Django itself keeps in a session."""
    session: SessionBase = running_engine.store()(person.key)
    return dict(session.items()) | {"_session_expiry": 300, "_messages": "[]"}


def wrong(site: Site, look: Look, person: Person) -> str:
    """What is wrong with the answer; empty for nothing."""
    try:
        answer = site.ask(look, person.cookie)
    except Exception as error:  # noqa: BLE001 - of Django's it is counted
        return repr(error)
    if answer.status >= 500:
        return str(answer.status)
    return "data of another user" if answer.shows(CANARY) else ""


@on(*COOKIE_ENGINES)
def test_a_signed_cookie_that_is_anything(
    site: Site, whose: Whose, profile: str, log: Log, fuzz: Fuzz, held: Held
) -> None:
    """By whoever can sign: with anything else it opens nothing, as other tests have it."""
    mallory = signed_in(site, "mallory", "blue")
    lost = 0

    def holds(stored: Entry, look: Look) -> None:
        nonlocal lost
        cookie = sign(stored.payload, COOKIE_SALT).decode()
        problem = wrong(site, look, mallory._replace(key=cookie))
        said = log.said()
        lost += bool(problem)
        if whose == "ours":
            assert problem == ""
            assert not [record.exc_info for record in said if record.exc_info]

    tries = fuzz(4, holds, plain(data_of(mallory), "latin-1"), st.sampled_from(LOOKS))
    held("A stored session is damaged or wrong, signed_cookies", whose, tries, lost)


@on("db", "file", "cache", "cached_db")
@ours
def test_a_damaged_session_is_an_empty_one_and_a_line_in_the_log(
    site: Site, whose: Whose, profile: str, log: Log, fuzz: Fuzz
) -> None:
    store = STORES[profile]()
    mallory = signed_in(site, "mallory", "blue")

    def holds(stored: Entry) -> None:
        # What begins like a mark that a session was here is none that is damaged.
        assume(stored.is_damaged and not stored.payload.startswith(TOMBSTONE_MARK))
        store.plant(mallory.key, stored.payload)
        log.said()
        assert site.ask(COLOR, mallory.cookie).body == b"KeyError: this session holds no color.\n"
        said = log.said()
        assert {record.getMessage() for record in said} == {"Session data corrupted"}
        assert {record.levelname for record in said} == {"WARNING"}

    assert fuzz(3, holds, anything(store, mallory))


@on("db", "file", "cache", "cached_db")
@ours
def test_what_lists_and_clears_sessions_minds_none_of_it(
    site: Site, whose: Whose, profile: str, log: Log, fuzz: Fuzz
) -> None:
    store = STORES[profile]()
    ada, mallory = signed_in(site, "ada", CANARY), signed_in(site, "mallory", "blue")
    admin = signed_in(site, "admin", "blue", is_staff=True, is_superuser=True)
    sessions: Any = running_engine.store()
    before = store.held(ada.key)

    def holds(stored: Entry, look: Look) -> None:
        store.plant(mallory.key, stored.payload)
        assert wrong(site, look, admin) == ""
        assert {listed.key for listed in sessions.walk()} >= {ada.key, admin.key}
        sessions.clear_expired()
        assert store.held(ada.key) == before
        log.said()

    assert fuzz(0.25, holds, anything(store, mallory), st.sampled_from(LISTS))
