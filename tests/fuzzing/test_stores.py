"""Random stored sessions: damaged, of another type, or written by another program."""

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
from tests.families import COOKIE_ENGINES, SERVER_ENGINES, run_on
from tests.fault_table import Tally, Whose

from .conftest import Fuzz, Log, on_our_engines
from .inputs import as_json, changed, merged_json, mutated, values
from .raw_stores import STORES, PostgreSQLRows, Store, is_session, sign
from .site import Request, Site
from .users import CANARY, Person, post, sign_up

GET_COLOR = Request("/sessions/get-item/", query="key=color")

# Requests that read, write and end the session.
REQUESTS = [
    GET_COLOR,
    Request("/auth/account/"),
    Request("/devices/"),
    Request("/session/"),
    Request("/sessions/items/"),
    Request("/lifecycle/session-key/"),
    post("/sessions/set-item/", key="taste", value="sweet"),
    post("/auth/sign-in/", username="mallory", password="cookies"),
    post("/auth/sign-out/"),
    post("/lifecycle/cycle-key/"),
    post("/lifecycle/clear/"),
    post("/expiry/in-seconds/", seconds="60"),
    post("/expiry/by-settings/"),
]


# Pages on which staff sees stored sessions.
LISTS = [Request("/admin/cookieproj_engines/"), Request("/admin/cookieproj_engines/storedsession/")]


class Entry(NamedTuple):
    payload: bytes
    # Whether it has to be read as an empty session.
    is_damaged: bool


def plain(valid: dict[str, Any], charset: str = "utf-8") -> st.SearchStrategy[Entry]:
    """Entries of a cache, made from a valid session."""
    payloads = st.one_of(
        mutated(st.just(as_json(valid))),
        changed(valid).map(as_json),
        st.builds(merged_json, st.just(valid), changed(valid)),
        values.map(as_json),
        st.binary(),
        st.integers(0, 2000).map(lambda depth: b'{"color": ' + b"[" * depth + b"]" * depth + b"}"),
    )
    return payloads.map(lambda payload: Entry(payload, not is_session(payload, charset)))


def signed(valid: dict[str, Any]) -> st.SearchStrategy[Entry]:
    """Entries of a row or a file, with a valid signature and without."""
    text = sign(as_json(valid))
    changes = mutated(st.just(text)).filter(lambda changed: changed != text)
    # Not empty: Django reads an empty file as one that is just being written.
    unsigned = (changes | st.binary(min_size=1)).filter(bool).map(lambda each: Entry(each, True))
    # Django reads signed data as Latin-1.
    for_signing = plain(valid, "latin-1")
    return for_signing.map(lambda each: each._replace(payload=sign(each.payload))) | unsigned


@on(*SERVER_ENGINES)
def test_random_stored_session_is_no_server_error_and_opens_no_other(
    site: Site, whose: Whose, profile: str, log: Log, fuzz: Fuzz, tally: Tally
) -> None:
    ada, mallory = sign_up(site, CANARY, CANARY), sign_up(site, "mallory", "blue")
    store = STORES[profile]()
    visitor = Visitor(site, log, store, ada, mallory, is_ours=whose == "ours")
    tries = fuzz(4, visitor.check, random_entries(store, mallory), st.sampled_from(REQUESTS))
    tally(f"A stored session is damaged or wrong, {profile}", whose, tries, visitor.lost)


@pytest.mark.parametrize("whose", ["ours", "Django's"])
def test_random_row_of_postgresql_is_no_server_error_and_opens_no_other(
    whose: Whose,
    on_postgresql: None,
    settings: Settings,
    log: Log,
    fuzz: Fuzz,
    tally: Tally,
) -> None:
    run_on(settings, whose, "db")
    site, store = Site(), PostgreSQLRows()
    ada, mallory = sign_up(site, CANARY, CANARY), sign_up(site, "mallory", "blue")
    visitor = Visitor(site, log, store, ada, mallory, is_ours=whose == "ours")
    tries = fuzz(2, visitor.check, random_entries(store, mallory), st.sampled_from(REQUESTS))
    tally("A stored session is damaged or wrong, db on PostgreSQL", whose, tries, visitor.lost)


class Visitor:
    """Sends requests with Mallory's session, while Ada's session is in the same store."""

    def __init__(
        self, site: Site, log: Log, store: Store, ada: Person, mallory: Person, *, is_ours: bool
    ) -> None:
        self.site, self.log, self.store, self.is_ours = site, log, store, is_ours
        self.ada, self.mallory = ada, mallory
        self.before = store.payload_of(ada.key)
        self.lost = 0

    def check(self, stored: Entry, request: Request) -> None:
        self.store.plant(self.mallory.key, stored.payload)
        problem = problem_with(self.site, request, self.mallory)
        if connection.in_atomic_block and not self.is_ours:
            # Django's engine may write an invalid date, which is an error in the transaction of
            # the test.
            connection.set_rollback(False)
        if self.store.payload_of(self.ada.key) != self.before:
            problem = "another session is changed"
        records = self.log.take_records()
        self.lost += bool(problem)
        if self.is_ours:
            assert problem == ""
            assert not [record.exc_info for record in records if record.exc_info]


def random_entries(store: Store, person: Person) -> st.SearchStrategy[Entry]:
    data = data_of(person)
    return signed(data) if store.signed else plain(data, store.charset)


def data_of(person: Person) -> dict[str, Any]:
    """The user's session, with all items that Django stores in sessions."""
    session: SessionBase = running_engine.store()(person.key)
    return dict(session.items()) | {"_session_expiry": 300, "_messages": "[]"}


def problem_with(site: Site, request: Request, person: Person) -> str:
    """A description of what is wrong with the answer, or an empty text."""
    try:
        answer = site.send(request, person.cookie)
    except Exception as error:  # noqa: BLE001 - counted for Django's engines
        return repr(error)
    if answer.status >= 500:
        return str(answer.status)
    return "data of another user" if answer.shows(CANARY) else ""


@on(*COOKIE_ENGINES)
def test_random_signed_cookie_is_no_server_error(
    site: Site, whose: Whose, profile: str, log: Log, fuzz: Fuzz, tally: Tally
) -> None:
    """The cookies have valid signatures. Other tests show that others open nothing."""
    mallory = sign_up(site, "mallory", "blue")
    lost = 0

    def check(stored: Entry, request: Request) -> None:
        nonlocal lost
        cookie = sign(stored.payload, COOKIE_SALT).decode()
        problem = problem_with(site, request, mallory._replace(key=cookie))
        records = log.take_records()
        lost += bool(problem)
        if whose == "ours":
            assert problem == ""
            assert not [record.exc_info for record in records if record.exc_info]

    tries = fuzz(4, check, plain(data_of(mallory), "latin-1"), st.sampled_from(REQUESTS))
    tally("A stored session is damaged or wrong, signed_cookies", whose, tries, lost)


@on(*SERVER_ENGINES)
@on_our_engines
def test_damaged_session_is_read_as_empty_and_logged(
    site: Site, whose: Whose, profile: str, log: Log, fuzz: Fuzz
) -> None:
    store = STORES[profile]()
    mallory = sign_up(site, "mallory", "blue")

    def check(stored: Entry) -> None:
        # A payload that begins like a tombstone is read as one.
        assume(stored.is_damaged and not stored.payload.startswith(TOMBSTONE_MARK))
        store.plant(mallory.key, stored.payload)
        log.take_records()
        assert (
            site.send(GET_COLOR, mallory.cookie).body
            == b"KeyError: this session has no key color.\n"
        )
        records = log.take_records()
        assert {record.getMessage() for record in records} == {"Session data corrupted"}
        assert {record.levelname for record in records} == {"WARNING"}

    assert fuzz(3, check, random_entries(store, mallory))


@on(*SERVER_ENGINES)
@on_our_engines
def test_lists_and_clearing_work_with_random_stored_session(
    site: Site, whose: Whose, profile: str, log: Log, fuzz: Fuzz
) -> None:
    store = STORES[profile]()
    ada, mallory = sign_up(site, "ada", CANARY), sign_up(site, "mallory", "blue")
    admin = sign_up(site, "admin", "blue", is_staff=True, is_superuser=True)
    sessions: Any = running_engine.store()
    before = store.payload_of(ada.key)

    def check(stored: Entry, request: Request) -> None:
        store.plant(mallory.key, stored.payload)
        assert problem_with(site, request, admin) == ""
        assert {listed.key for listed in sessions.walk()} >= {ada.key, admin.key}
        sessions.clear_expired()
        assert store.payload_of(ada.key) == before
        log.take_records()

    assert fuzz(0.25, check, random_entries(store, mallory), st.sampled_from(LISTS))
