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

TO_ROWS = only_switches((old, new) for old in ("cache", "file") for new in ("db", "cached_db"))
SAME_ROWS = only_switches([("cached_db", "db"), ("db", "cached_db")])


def by_row(key: str | None) -> object:
    return Session.objects.get(session_key=key).delete()


def by_query(key: str | None) -> object:
    return Session.objects.filter(session_key=key).delete()


def by_deferred_query(key: str | None) -> object:
    return Session.objects.only("session_key").filter(session_key=key).delete()


@pytest.fixture(params=[by_row, by_query, by_deferred_query])
def delete(request: pytest.FixtureRequest) -> Delete:
    chosen: Delete = request.param
    return chosen


def has_ended(switch: Switch, browser: Browser) -> bool:
    """Whether the session has ended in the new engine, in the old one, and after a switch back."""
    data = []
    for run in (switch.make, switch.before, switch.back):
        run()
        data += [browser.copy().read(), dict(switch.store(switch.old)(browser.cookie).items())]
    return not any(data)


@SAME_ROWS
def test_cached_copy_ends_with_its_row(switch: Switch, delete: Delete) -> None:
    browser = Browser()
    browser.set(a=1)
    switch.make()
    delete(browser.cookie)
    assert has_ended(switch, browser)


@TO_ROWS
def test_deleted_copy_is_not_restored_from_its_original(switch: Switch, delete: Delete) -> None:
    browser = Browser()
    browser.set(a=1)
    move_in_batches(switch, keep=True)
    switch.make()
    delete(browser.cookie)
    assert has_ended(switch, browser)


@TO_ROWS
def test_deleted_row_is_not_restored_from_a_leftover_of_the_move(
    switch: Switch, delete: Delete
) -> None:
    browser = Browser()
    browser.set(a=1)
    previous, key = switch.place(switch.old), browser.cookie or ""
    entry = switch.stored(switch.old, key)
    switch.make()
    browser.read()
    previous.insert(key, entry.data, entry.expires or timezone.now() + timedelta(days=1))
    delete(browser.cookie)
    assert has_ended(switch, browser)


@pytest.fixture
def deletion_receiver() -> Iterator[None]:
    """Connects a receiver, so that the engines delete rows with signals too."""

    def receiver(**kwargs: Any) -> None:
        pass

    post_delete.connect(receiver, sender=Session)
    yield
    post_delete.disconnect(receiver, sender=Session)


@only_switches((old, "db") for old in ("cache", "file"))
@pytest.mark.parametrize("delete_row", [by_row, by_query, None])
@pytest.mark.usefixtures("deletion_receiver")
def test_purge_of_an_expired_row_does_not_end_the_session(
    switch: Switch, delete_row: Delete | None
) -> None:
    """The row is purged to make room for the session, which is still in the old store."""
    browser = Browser()
    browser.visit(lambda session: (session.update({"a": 1}), session.set_expiry(100)))
    move_in_batches(switch, keep=True)
    browser.visit(lambda session: session.set_expiry(3600))
    with time_machine.travel(timezone.now() + timedelta(seconds=200)):
        switch.make()
        if delete_row:
            delete_row(browser.cookie)
        assert browser.read()["a"] == 1


@TO_ROWS
@pytest.mark.usefixtures("deletion_receiver")
def test_deletion_of_a_row_by_the_move_does_not_end_the_session(switch: Switch) -> None:
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
