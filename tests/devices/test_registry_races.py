"""The index of signed-in sessions while other requests are half done, on every profile."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cookieproj.devices import session_registry, signing_out, write_throttle
from cookieproj.devices.models import SignedInSession, SignedInSessionQuerySet
from cookieproj.devices.signing_out import sign_out_everywhere
from demo.models import User
from tests.browsers import IPHONE, browser, is_in, key_of, row_of
from tests.conftest import on

FORM = {"username": "ada", "password": "cookies"}

TABLE = SignedInSession._meta.db_table


def twin_of(client: Client) -> Client:
    twin = browser()
    twin.cookies["sessionid"] = key_of(client)
    return twin


def test_a_second_sign_in_while_another_tab_writes_its_row(profile: str, ada: User) -> None:
    client = browser(ada)
    tab = twin_of(client)
    row = row_of(client)
    really = session_registry.make_row
    seen: list[bool] = []

    def half_way(*arguments: Any) -> SignedInSession:
        if not seen:
            seen.append(True)
            write_throttle.recent_writes.clear()
            assert is_in(tab)
        return really(*arguments)

    with mock.patch.object(session_registry, "make_row", half_way):
        assert client.post("/auth/sign-in/", FORM).status_code == 302
    assert seen
    again = SignedInSession.objects.get()
    assert again == row == row_of(client)
    assert again.signed_in_at > row.signed_in_at
    assert is_in(client)
    assert (
        client.get("/devices/").text.count("<li")
        == browser(ada).get("/devices/").text.count("<li") - 1
    )


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_second_sign_in_is_written_by_one_statement(
    is_lost: bool, profile: str, ada: User
) -> None:
    client = browser(ada)
    row = row_of(client)
    if is_lost:
        SignedInSession.objects.all().forget()
    client.defaults |= browser(agent=IPHONE).defaults
    with CaptureQueriesContext(connection) as captured:
        client.post("/auth/sign-in/", FORM)
    about_it = [query["sql"] for query in captured if TABLE in query["sql"]]
    assert len(about_it) == 1
    again = SignedInSession.objects.get()
    assert again == row
    assert (again.user, again.browser, again.system) == (ada, "Mobile Safari", "iOS")
    assert again.signed_in_at > row.signed_in_at


@pytest.mark.parametrize("is_again", [False, True])
def test_a_sign_in_that_comes_after_a_sign_out_everywhere_is_not_ended_by_it(
    is_again: bool, profile: str, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last step deletes what is stored, after the counter has been raised."""
    before = browser(ada)
    client = before if is_again else browser()
    really = signing_out.delete_stored

    def slowly(rows: SignedInSessionQuerySet) -> None:
        client.post("/auth/sign-in/", FORM)
        really(rows)

    monkeypatch.setattr(signing_out, "delete_stored", slowly)
    assert sign_out_everywhere(User.objects.get()) == 1
    assert is_in(client)
    assert SignedInSession.objects.get() == row_of(client)
    assert is_in(before) == is_again


def test_nor_is_one_with_a_password_that_this_process_does_not_know_yet(
    profile: str, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = User.objects.get()
    browser(ada)
    ada.set_password("3 biscuits")
    ada.save()
    really = signing_out.delete_stored
    client = browser()

    def slowly(rows: SignedInSessionQuerySet) -> None:
        client.post("/auth/sign-in/", FORM | {"password": "3 biscuits"})
        really(rows)

    monkeypatch.setattr(signing_out, "delete_stored", slowly)
    sign_out_everywhere(old)
    assert is_in(client)
    assert SignedInSession.objects.get() == row_of(client)


def test_nor_by_two_at_once(profile: str, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sign-in comes after both counters, and the first goes on after it."""
    browser(ada)
    client = browser()
    really = signing_out.delete_stored
    steps: list[Callable[[], object]] = [
        lambda: sign_out_everywhere(User.objects.get()),
        lambda: client.post("/auth/sign-in/", FORM),
    ]

    def slowly(rows: SignedInSessionQuerySet) -> None:
        if steps:
            steps.pop(0)()
        really(rows)

    monkeypatch.setattr(signing_out, "delete_stored", slowly)
    sign_out_everywhere(User.objects.get())
    assert not steps
    assert is_in(client)
    assert SignedInSession.objects.get() == row_of(client)


@on("db")
def test_rows_of_several_passwords_ago_go_too(profile: str, ada: User) -> None:
    for _ in range(3):
        browser(User.objects.get())
        user = User.objects.get()
        user.set_password("cookies")
        user.save()
    assert SignedInSession.objects.count() == 3
    sign_out_everywhere(User.objects.get())
    assert not SignedInSession.objects.exists()
