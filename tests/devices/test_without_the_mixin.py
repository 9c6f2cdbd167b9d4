"""A user model without the sign-out counter: registered sessions are ended one by one."""

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


def test_sign_out_others_works_without_counter(profile: str, ada: User, admin: User) -> None:
    clients, theirs = [browser(ada), browser(ada, IPHONE), browser(ada)], browser(admin)
    assert "2 devices are signed out." in clients[0].post(OTHERS, follow=True).text
    assert [is_in(client) for client in clients] == [True, False, False]
    assert is_in(theirs)
    assert User.objects.get(pk=ada.pk).sign_outs == 0


def test_sign_out_everywhere_works_without_counter(profile: str, ada: User) -> None:
    clients = [browser(ada), browser(ada)]
    assert sign_out_everywhere(ada) == 2
    assert not any(map(is_in, clients))
    assert not SignedInSession.objects.exists()


@on("db")
def test_sign_out_others_is_503_while_store_is_unreachable(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    error = StoreUnavailableError("store", "unreachable")
    with mock.patch("cookieproj.devices.stored_sessions.delete_stored_session", side_effect=error):
        assert client.post(OTHERS).status_code == 503
    assert [is_in(client), is_in(other)] == [True, True]
    assert SignedInSession.objects.count() == 2


@on("db")
def test_page_and_check_say_that_sessions_are_ended_one_by_one(profile: str, ada: User) -> None:
    assert "that this site knows of, one by one" in browser(ada).get("/devices/").text
    messages = run_checks(tags=["security"], include_deployment_checks=True)
    assert "devices.I001" in [each.id for each in messages]


@pytest.mark.parametrize("family", ["django.contrib.sessions.backends.", "cookieproj.engines."])
def test_sign_out_of_cookie_sessions_fails_without_counter_and_revocation_check(
    ada: User, settings: Settings, family: str
) -> None:
    settings.SESSION_ENGINE = f"{family}signed_cookies"
    del settings.SESSION_REVOCATION_CHECK
    client, other = browser(ada), browser(ada)
    page = client.post(OTHERS, follow=True).text
    assert "SignOutEverywhereMixin" in page
    assert "is signed out." not in page
    assert "are signed out." not in page
    with pytest.raises(CommandError, match="Could not sign out"):
        call_command("signout", "ada")
    assert [is_in(client), is_in(other)] == [True, True]
    assert SignedInSession.objects.count() == 2


@on("db")
@pytest.mark.django_db(transaction=True)
def test_sign_out_others_without_counter_sends_signal(profile: str, ada: User) -> None:
    clients = [browser(ada), browser(ada)]
    reasons: list[str] = []

    def receive(reason: str, **kwargs: Any) -> None:
        reasons.append(reason)

    session_ended.connect(receive)
    try:
        clients[0].post(OTHERS)
    finally:
        session_ended.disconnect(receive)
    assert reasons == ["signed out everywhere"]
