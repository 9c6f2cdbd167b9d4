"""Secrets are compared in constant time, so that response times do not reveal a near match.

A comparison by == differs only in its time. So these tests replace the function by one that
always returns True, or False: this has no effect on other comparisons. Session keys are looked up
by an index, a name or a hash, and not compared. Nor are the signed texts that a process has lately
verified, which it looks up by the hash of the whole text.
"""

from collections.abc import Callable
from unittest import mock

from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import Settings

from cookieproj.engines import signatures
from demo.constants import LOGIN_COOKIE
from demo.models import User
from tests.browsers import browser, is_in, key_of
from tests.conftest import on

from .conftest import Send
from .test_forging import login_cookie, signed

SIGNING_COMPARE = "django.core.signing.constant_time_compare"
SESSIONS_COMPARE = "cookieproj.engines.signatures.compare_digest"
IsAccepted = Callable[[str], bool]


def assert_decides(compare: str, is_accepted: IsAccepted, genuine: str, forged: str) -> None:
    """Check that the result of that function alone decides whether a value is accepted."""
    assert is_accepted(genuine)
    assert not is_accepted(forged)
    with mock.patch(compare, return_value=True):
        assert is_accepted(forged)
    with mock.patch(compare, return_value=False):
        assert not is_accepted(genuine)


def forged_from(genuine: str) -> str:
    payload, timestamp, _signature = genuine.rsplit(":", 2)
    return f"{payload}:{timestamp}:{'A' * 43}"


def test_cookie_signature_is_compared_in_constant_time(send: Send, db: None) -> None:
    client = Client()
    genuine = client.get("/signed/sign/").cookies["color"].value

    def is_accepted(value: str) -> bool:
        return send("/signed/read/", f"color={value}").status_code == 200

    assert_decides(SIGNING_COMPARE, is_accepted, genuine, forged_from(genuine))


@on("signed_cookies")
def test_session_signature_is_compared_in_constant_time(profile: str, send: Send) -> None:
    client = Client()
    client.post("/sessions/set-item/")

    def is_accepted(value: str) -> bool:
        signatures._known.clear()
        return b"color" in send("/sessions/keys/", f"sessionid={value}").content

    assert_decides(SESSIONS_COMPARE, is_accepted, key_of(client), forged_from(key_of(client)))
    signatures._known.clear()


@on("db")
def test_row_signature_is_compared_in_constant_time(profile: str, send: Send) -> None:
    client = Client()
    client.post("/sessions/set-item/")
    row = Session.objects.get()

    def is_accepted(text: str) -> bool:
        signatures._known.clear()
        Session.objects.update(session_data=text)
        return b"color" in send("/sessions/keys/", f"sessionid={row.pk}").content

    assert_decides(SESSIONS_COMPARE, is_accepted, row.session_data, forged_from(row.session_data))
    signatures._known.clear()


def test_url_signature_is_compared_in_constant_time(
    send: Send, settings: Settings, db: None
) -> None:
    settings.DEMO_SESSION_IN_PATH = True
    genuine = Client().post("/in-path/begin/").headers["Location"].split("/")[2]

    def is_accepted(token: str) -> bool:
        return send(f"/in-path/{token}/kitchen/").status_code == 200

    assert_decides(SIGNING_COMPARE, is_accepted, genuine, forged_from(genuine))


def test_login_cookie_is_compared_in_constant_time(ada: User, send: Send) -> None:
    genuine = login_cookie("ada")

    def is_accepted(value: str) -> bool:
        return send("/auth/cookie-account/", f"{LOGIN_COOKIE}={value}").status_code == 200

    assert_decides(SIGNING_COMPARE, is_accepted, genuine, forged_from(genuine))
    assert_decides(
        "demo.login_auth.constant_time_compare", is_accepted, genuine, signed(f"{ada.pk}.x")
    )


def test_session_hash_is_compared_in_constant_time(profile: str, ada: User) -> None:
    """It depends on the user's password and counter of sign-outs."""
    genuine, ended = browser(ada), browser(ada)
    session = ended.session
    session["_auth_user_hash"] = "x" * 64
    session.save()
    ended.cookies["sessionid"] = session.session_key or ""
    clients = {"genuine": genuine, "ended": ended}
    copies = {name: key_of(client) for name, client in clients.items()}

    def is_accepted(name: str) -> bool:
        client = Client()
        client.cookies["sessionid"] = copies[name]
        return is_in(client)

    with mock.patch("django.contrib.auth.constant_time_compare", return_value=True):
        assert is_accepted("ended")
    assert is_accepted("genuine")
    with mock.patch("django.contrib.auth.constant_time_compare", return_value=False):
        assert not is_accepted("genuine")
    assert not is_accepted("ended")


def test_csrf_token_is_compared_in_constant_time(db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get("/auth/sign-in/")

    def is_accepted(token: str) -> bool:
        return client.post("/sessions/set-item/", {"csrfmiddlewaretoken": token}).status_code == 200

    genuine = client.cookies["csrftoken"].value
    assert_decides("django.middleware.csrf.constant_time_compare", is_accepted, genuine, "A" * 32)
