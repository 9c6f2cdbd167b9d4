"""Session rows that are deleted during a switch, by Django's ORM or its admin."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.db.models.signals import post_delete
from django.utils import timezone

from .handover_switch import Browser, Switch, only_switches
from .test_handover_failures import move_in_batches

Delete = Callable[[str | None], object]

INTO_ROWS = only_switches((old, new) for old in ("cache", "file") for new in ("db", "cached_db"))
SAME_ROWS = only_switches([("cached_db", "db"), ("db", "cached_db")])


def by_row(key: str | None) -> object:
    return Session.objects.get(session_key=key).delete()


def by_query(key: str | None) -> object:
    return Session.objects.filter(session_key=key).delete()


def deferred(key: str | None) -> object:
    return Session.objects.only("session_key").filter(session_key=key).delete()


@pytest.fixture(params=[by_row, by_query, deferred])
def delete(request: pytest.FixtureRequest) -> Delete:
    found: Delete = request.param
    return found


def is_over(switch: Switch, browser: Browser) -> bool:
    """Whether the session is ended in the new engine, in the old one, and after going back."""
    opened = []
    for run in (switch.make, switch.before, switch.back):
        run()
        opened += [browser.copy().read(), dict(switch.store(switch.old)(browser.cookie).items())]
    return not any(opened)


@SAME_ROWS
def test_a_copy_in_a_cache_ends_with_its_row(switch: Switch, delete: Delete) -> None:
    browser = Browser()
    browser.set(a=1)
    switch.make()
    delete(browser.cookie)
    assert is_over(switch, browser)


@INTO_ROWS
def test_a_copy_that_was_made_ahead_ends_with_its_original(switch: Switch, delete: Delete) -> None:
    browser = Browser()
    browser.set(a=1)
    move_in_batches(switch, keep=True)
    switch.make()
    delete(browser.cookie)
    assert is_over(switch, browser)


@INTO_ROWS
def test_what_the_old_store_did_not_let_go_of_ends_too(switch: Switch, delete: Delete) -> None:
    browser = Browser()
    browser.set(a=1)
    previous, key = switch.place(switch.old), browser.cookie or ""
    left = switch.stored(switch.old, key)
    switch.make()
    browser.read()
    previous.insert(key, left.data, left.expires or timezone.now() + timedelta(days=1))
    delete(browser.cookie)
    assert is_over(switch, browser)


@pytest.fixture
def by_the_model() -> Iterator[None]:
    """With a receiver of deletions, for which the engines too delete rows with signals."""

    def listen(**kwargs: Any) -> None:
        pass

    post_delete.connect(listen, sender=Session)
    yield
    post_delete.disconnect(listen, sender=Session)


@only_switches((old, "db") for old in ("cache", "file"))
@pytest.mark.parametrize("by_staff", [by_row, by_query, None])
@pytest.mark.usefixtures("by_the_model")
def test_an_expired_row_is_the_end_of_nothing(switch: Switch, by_staff: Delete | None) -> None:
    """The row is purged to make room for the session, which is still in the old store."""
    browser = Browser()
    browser.visit(lambda session: (session.update({"a": 1}), session.set_expiry(100)))
    move_in_batches(switch, keep=True)
    browser.visit(lambda session: session.set_expiry(3600))
    with time_machine.travel(timezone.now() + timedelta(seconds=200)):
        switch.make()
        if by_staff:
            by_staff(browser.cookie)
        assert browser.read()["a"] == 1


@INTO_ROWS
@pytest.mark.usefixtures("by_the_model")
def test_nor_is_a_row_that_moves(switch: Switch) -> None:
    browser = Browser()
    browser.set(a=1)
    for _ in range(2):
        switch.make()
        browser.set(b=2)
        switch.back()
        browser.set(c=3)
        assert browser.read() == {"a": 1, "b": 2, "c": 3}
    switch.make()
    browser.visit(lambda session: (session.get("a"), session.cycle_key()))
    assert browser.read() == {"a": 1, "b": 2, "c": 3}
