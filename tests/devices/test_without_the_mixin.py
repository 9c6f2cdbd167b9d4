"""A user model without a counter: each session that is known is ended by itself."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from cookieproj.devices.models import SignedInSession
from cookieproj.devices.signals import session_ended
from cookieproj.devices.signing_out import sign_out_everywhere
from cookieproj.engines.exceptions import StoreUnavailableError
from demo.models import User
from tests.browsers import IPHONE, browser, is_in
from tests.conftest import on

OTHERS = "/devices/sign-out-others/"


@pytest.fixture(autouse=True)
def no_counter() -> Iterator[None]:
    names = (
        f"cookieproj.devices.{name}.counts_sign_outs" for name in ("signing_out", "views", "checks")
    )
    patches = [mock.patch(name, return_value=False) for name in names]
    for patch in patches:
        patch.start()
    yield
    for patch in patches:
        patch.stop()


def test_all_others_are_signed_out(profile: str, ada: User, admin: User) -> None:
    clients, theirs = [browser(ada), browser(ada, IPHONE), browser(ada)], browser(admin)
    assert "2 devices are signed out." in clients[0].post(OTHERS, follow=True).text
    assert [is_in(client) for client in clients] == [True, False, False]
    assert is_in(theirs)
    assert User.objects.get(pk=ada.pk).sign_outs == 0


def test_everywhere(profile: str, ada: User) -> None:
    clients = [browser(ada), browser(ada)]
    assert sign_out_everywhere(ada) == 2
    assert not any(map(is_in, clients))
    assert not SignedInSession.objects.exists()


@on("db")
def test_a_store_that_is_away_keeps_them_and_it_is_said(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    away = StoreUnavailableError("there", "gone")
    with mock.patch("cookieproj.devices.stored_sessions.delete_stored_session", side_effect=away):
        assert client.post(OTHERS).status_code == 503
    assert [is_in(client), is_in(other)] == [True, True]
    assert SignedInSession.objects.count() == 2


@on("db")
def test_the_page_and_a_check_say_which_it_is(profile: str, ada: User) -> None:
    assert "that this site knows of, one by one" in browser(ada).get("/devices/").text
    found = run_checks(tags=["security"], include_deployment_checks=True)
    assert "devices.I001" in [each.id for each in found]


@pytest.mark.parametrize("whose", ["django.contrib.sessions.backends.", "cookieproj.engines."])
def test_where_none_can_be_ended_it_says_so(ada: User, settings: Settings, whose: str) -> None:
    settings.SESSION_ENGINE = f"{whose}signed_cookies"
    del settings.SESSION_REVOCATION_CHECK
    client, other = browser(ada), browser(ada)
    page = client.post(OTHERS, follow=True).text
    assert "SignOutEverywhereMixin" in page
    assert "signed out." not in page
    with pytest.raises(CommandError, match="Could not sign out"):
        call_command("signout", "ada")
    assert [is_in(client), is_in(other)] == [True, True]
    assert SignedInSession.objects.count() == 2


@on("db")
@pytest.mark.django_db(transaction=True)
def test_each_is_told_to_have_ended_with_all(profile: str, ada: User) -> None:
    clients = [browser(ada), browser(ada)]
    told: list[str] = []

    def hear(reason: str, **kwargs: Any) -> None:
        told.append(reason)

    session_ended.connect(hear)
    try:
        clients[0].post(OTHERS)
    finally:
        session_ended.disconnect(hear)
    assert told == ["signed out everywhere"]
