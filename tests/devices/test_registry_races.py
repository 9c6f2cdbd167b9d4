"""The registry of signed-in sessions while another request is in progress, on every profile."""

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


def second_tab_of(client: Client) -> Client:
    twin = browser()
    twin.cookies["sessionid"] = key_of(client)
    return twin


def test_second_sign_in_while_another_tab_updates_the_row(profile: str, ada: User) -> None:
    client = browser(ada)
    tab = second_tab_of(client)
    row = row_of(client)
    make_row = session_registry.make_row
    calls: list[bool] = []

    def make_row_after_the_tab(*arguments: Any) -> SignedInSession:
        if not calls:
            calls.append(True)
            write_throttle.recent_writes.clear()
            assert is_in(tab)
        return make_row(*arguments)

    with mock.patch.object(session_registry, "make_row", make_row_after_the_tab):
        assert client.post("/auth/sign-in/", FORM).status_code == 302
    assert calls
    updated = SignedInSession.objects.get()
    assert updated == row == row_of(client)
    assert updated.signed_in_at > row.signed_in_at
    assert is_in(client)
    assert (
        client.get("/devices/").text.count("<li")
        == browser(ada).get("/devices/").text.count("<li") - 1
    )


@pytest.mark.parametrize("has_lost_row", [False, True])
def test_second_sign_in_writes_its_row_in_one_statement(
    has_lost_row: bool, profile: str, ada: User
) -> None:
    client = browser(ada)
    row = row_of(client)
    if has_lost_row:
        SignedInSession.objects.all().forget()
    client.defaults |= browser(agent=IPHONE).defaults
    with CaptureQueriesContext(connection) as captured:
        client.post("/auth/sign-in/", FORM)
    statements = [query["sql"] for query in captured if TABLE in query["sql"]]
    assert len(statements) == 1
    updated = SignedInSession.objects.get()
    assert updated == row
    assert (updated.user, updated.browser, updated.system) == (ada, "Mobile Safari", "iOS")
    assert updated.signed_in_at > row.signed_in_at


@pytest.mark.parametrize("is_same_browser", [False, True])
def test_sign_in_during_sign_out_everywhere_is_kept(
    is_same_browser: bool, profile: str, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step of a sign-out deletes stored sessions, after the counter was incremented."""
    before = browser(ada)
    client = before if is_same_browser else browser()
    delete_stored = signing_out.delete_stored

    def delete_stored_late(rows: SignedInSessionQuerySet) -> None:
        client.post("/auth/sign-in/", FORM)
        delete_stored(rows)

    monkeypatch.setattr(signing_out, "delete_stored", delete_stored_late)
    assert sign_out_everywhere(User.objects.get()) == 1
    assert is_in(client)
    assert SignedInSession.objects.get() == row_of(client)
    assert is_in(before) == is_same_browser


def test_sign_in_with_new_password_during_sign_out_everywhere_is_kept(
    profile: str, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = User.objects.get()
    browser(ada)
    ada.set_password("3 biscuits")
    ada.save()
    delete_stored = signing_out.delete_stored
    client = browser()

    def delete_stored_late(rows: SignedInSessionQuerySet) -> None:
        client.post("/auth/sign-in/", FORM | {"password": "3 biscuits"})
        delete_stored(rows)

    monkeypatch.setattr(signing_out, "delete_stored", delete_stored_late)
    sign_out_everywhere(old)
    assert is_in(client)
    assert SignedInSession.objects.get() == row_of(client)


def test_sign_in_during_two_sign_outs_everywhere_is_kept(
    profile: str, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sign-outs have incremented the counter when the user signs in."""
    browser(ada)
    client = browser()
    delete_stored = signing_out.delete_stored
    steps: list[Callable[[], object]] = [
        lambda: sign_out_everywhere(User.objects.get()),
        lambda: client.post("/auth/sign-in/", FORM),
    ]

    def delete_stored_late(rows: SignedInSessionQuerySet) -> None:
        if steps:
            steps.pop(0)()
        delete_stored(rows)

    monkeypatch.setattr(signing_out, "delete_stored", delete_stored_late)
    sign_out_everywhere(User.objects.get())
    assert not steps
    assert is_in(client)
    assert SignedInSession.objects.get() == row_of(client)


@on("db")
def test_sign_out_everywhere_deletes_rows_of_earlier_passwords(profile: str, ada: User) -> None:
    for _ in range(3):
        browser(User.objects.get())
        user = User.objects.get()
        user.set_password("cookies")
        user.save()
    assert SignedInSession.objects.count() == 3
    sign_out_everywhere(User.objects.get())
    assert not SignedInSession.objects.exists()
