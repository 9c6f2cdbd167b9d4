"""SESSION_END_COPIED: what a user, the registry and the log learn of a copied session."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as site
from django.test import Client
from pytest_django import Settings

from cookieproj.devices.models import SignedInSession
from cookieproj.engines.key_renewal import GRACE
from cookieproj.engines.renewal import recent_checks
from demo.models import User
from tests.browsers import IPHONE, browser, is_in, key_of
from tests.conftest import on
from tests.engines.stopped_clock import Clock, stopped_clock
from tests.families import SERVER_ENGINES

from .conftest import SentSignals

RENEW = 3600

pytestmark = [on(*SERVER_ENGINES), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def clock(store: Any, settings: Settings) -> Iterator[Clock]:
    settings.SESSION_RENEW_AGE = RENEW
    settings.SESSION_END_COPIED = True
    recent_checks.clear()
    with stopped_clock(store) as clock:
        yield clock


@pytest.fixture
def owner(ada: User) -> Client:
    return browser(ada)


@pytest.fixture
def thief(clock: Clock, owner: Client) -> Client:
    """A client with a copy of a cookie that its owner's browser has renewed since."""
    thief = Client(headers={"user-agent": IPHONE}, REMOTE_ADDR="198.51.100.7")
    thief.cookies[site.SESSION_COOKIE_NAME] = key_of(owner)
    clock.move(RENEW, key_of(owner))
    assert is_in(owner)
    assert is_in(owner)
    clock.move(GRACE + 1, key_of(owner))
    return thief


def test_whoever_sends_the_copy_is_told_and_loses_the_cookie(thief: Client) -> None:
    response = thief.get("/auth/account/")
    assert response.status_code == 403
    assert "Two browsers have used your session" in response.content.decode()
    assert not key_of(thief)


@pytest.mark.parametrize("path", ["/devices/", "/auth/account/"])
def test_the_other_browser_is_told_too(path: str, thief: Client, owner: Client, ada: User) -> None:
    thief.get("/auth/account/")
    response = owner.get(path)
    assert response.status_code == 403
    assert "Two browsers have used your session" in response.content.decode()
    assert not key_of(owner)
    assert owner.get("/auth/sign-in/").status_code == 200


def test_session_leaves_the_registry_with_its_reason(
    thief: Client, sent_signals: SentSignals
) -> None:
    [row] = SignedInSession.objects.all()
    thief.get("/auth/account/")
    assert not SignedInSession.objects.exists()
    assert sent_signals == [("copied cookie", str(row.pk))]


def test_sign_in_with_the_copy_in_the_jar_succeeds(thief: Client, ada: User) -> None:
    form = {"username": "ada", "password": "cookies"}
    assert thief.post("/auth/sign-in/", form).status_code == 302
    assert is_in(thief)
