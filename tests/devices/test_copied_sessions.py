"""SESSION_END_COPIED: what a user, the registry and the log learn of a copied session."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as site
from django.core import mail
from django.db import transaction
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from cookieproj.devices.copied_sessions import answer
from cookieproj.devices.models import SignedInSession
from cookieproj.engines.key_renewal import GRACE
from cookieproj.engines.renewal import recent_checks
from demo.models import User
from tests.browsers import IPHONE, browser, is_in, key_of
from tests.conftest import on
from tests.engines.stopped_clock import Clock, stopped_clock
from tests.families import SERVER_ENGINES
from tests.mailers import use_mailer

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


class TestEmail:
    @pytest.fixture(autouse=True)
    def email(self, settings: Settings, ada: User) -> None:
        use_mailer(settings)
        settings.DEVICES_COPIED_EMAIL = True
        User.objects.filter(pk=ada.pk).update(email="ada@example.com")

    @pytest.mark.parametrize("view", ["register", "renew"])
    def test_also_if_a_view_for_proofs_notices_it(
        self, view: str, thief: Client, owner: Client
    ) -> None:
        response = thief.post(f"/devices/bound/{view}/")
        assert response.status_code == 403
        assert "Two browsers have used your session" in response.content.decode()
        assert len(mail.outbox) == 1
        assert not is_in(owner)

    def test_user_gets_one_that_names_both_browsers(self, thief: Client, owner: Client) -> None:
        thief.get("/auth/account/")
        thief.get("/auth/account/")
        owner.get("/auth/account/")
        [message] = mail.outbox
        assert message.to == ["ada@example.com"]
        assert message.subject == "Signed out at testserver: a session was copied"
        for text in (
            "the same session of ada at testserver",
            "Sign-in: Firefox on Linux, 192.0.2.1",
            "Last request: Mobile Safari on iOS, 198.51.100.7",
            "http://testserver/devices/",
        ):
            assert text in message.body

    def test_it_is_sent_if_the_request_signs_in(self, thief: Client) -> None:
        form = {"username": "ada", "password": "cookies"}
        assert thief.post("/auth/sign-in/", form).status_code == 302
        assert len(mail.outbox) == 1

    def test_none_without_the_setting(self, thief: Client, settings: Settings) -> None:
        del settings.DEVICES_COPIED_EMAIL
        thief.get("/auth/account/")
        assert mail.outbox == []

    def test_one_that_cannot_be_sent_is_logged(
        self, thief: Client, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        use_mailer(settings, "nothing")
        response = thief.get("/auth/account/")
        assert "Two browsers have used your session" in response.content.decode()
        assert "The e-mail of the kind 'copied'" in caplog.text

    @pytest.mark.parametrize("rolled_back", [True, False])
    def test_none_about_an_end_that_is_rolled_back(
        self, rolled_back: bool, thief: Client, store: Any
    ) -> None:
        """Inside a transaction a session that is not in the database ends in any case."""
        request = RequestFactory().get("/")
        request.session = store(key_of(thief))
        with transaction.atomic():
            assert not dict(request.session.items())
            transaction.set_rollback(rolled_back)
        answer(request, HttpResponse())
        assert len(mail.outbox) == (not rolled_back)
