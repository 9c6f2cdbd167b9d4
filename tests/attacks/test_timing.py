"""What proves something is compared in constant time: no answer's time tells how near one is.

Of a compare by == nothing but its time would tell. So here it is Django's function that is made
to say yes, or no: what is compared by anything else does not heed it. Session keys are found by
an index, a name or a hash, and are compared by nobody here.
"""

from collections.abc import Callable
from unittest import mock

from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import Settings

from demo.constants import LOGIN_COOKIE
from demo.models import User
from tests.browsers import browser, is_in, key_of
from tests.conftest import on

from .conftest import Send
from .test_forging import proof, signed

IN_SIGNING = "django.core.signing.constant_time_compare"
Opens = Callable[[str], bool]


def decides(compare: str, opens: Opens, genuine: str, forged: str) -> None:
    """That function, and nothing before or after it."""
    assert opens(genuine)
    assert not opens(forged)
    with mock.patch(compare, return_value=True):
        assert opens(forged)
    with mock.patch(compare, return_value=False):
        assert not opens(genuine)


def forged_from(genuine: str) -> str:
    payload, moment, _signature = genuine.rsplit(":", 2)
    return f"{payload}:{moment}:{'A' * 43}"


def test_the_signature_of_a_cookie(send: Send, db: None) -> None:
    client = Client()
    genuine = client.get("/signed/sign/").cookies["color"].value

    def opens(value: str) -> bool:
        return send("/signed/read/", f"color={value}").status_code == 200

    decides(IN_SIGNING, opens, genuine, forged_from(genuine))


@on("signed_cookies")
def test_the_signature_of_a_session(profile: str, send: Send) -> None:
    client = Client()
    client.post("/sessions/set-item/")

    def opens(value: str) -> bool:
        return b"color" in send("/sessions/keys/", f"sessionid={value}").content

    decides(IN_SIGNING, opens, key_of(client), forged_from(key_of(client)))


@on("db")
def test_the_signature_of_a_row(profile: str, send: Send) -> None:
    client = Client()
    client.post("/sessions/set-item/")
    row = Session.objects.get()

    def opens(text: str) -> bool:
        Session.objects.update(session_data=text)
        return b"color" in send("/sessions/keys/", f"sessionid={row.pk}").content

    decides(IN_SIGNING, opens, row.session_data, forged_from(row.session_data))


def test_the_signature_of_an_address(send: Send, settings: Settings, db: None) -> None:
    settings.DEMO_SESSION_IN_PATH = True
    genuine = Client().post("/in-path/begin/").headers["Location"].split("/")[2]

    def opens(token: str) -> bool:
        return send(f"/in-path/{token}/kitchen/").status_code == 200

    decides(IN_SIGNING, opens, genuine, forged_from(genuine))


def test_the_proof_in_the_cookie_of_login_auth(ada: User, send: Send) -> None:
    genuine = proof("ada")

    def opens(value: str) -> bool:
        return send("/auth/cookie-account/", f"{LOGIN_COOKIE}={value}").status_code == 200

    decides(IN_SIGNING, opens, genuine, forged_from(genuine))
    decides("demo.login_auth.constant_time_compare", opens, genuine, signed(f"{ada.pk}.x"))


def test_the_session_hash(profile: str, ada: User) -> None:
    """That says whether a session is of the user's password, and of the counter of sign-outs."""
    genuine, ended = browser(ada), browser(ada)
    session = ended.session
    session["_auth_user_hash"] = "x" * 64
    session.save()
    ended.cookies["sessionid"] = session.session_key or ""
    clients = {"genuine": genuine, "ended": ended}
    copies = {name: key_of(client) for name, client in clients.items()}

    def opens(name: str) -> bool:
        client = Client()
        client.cookies["sessionid"] = copies[name]
        return is_in(client)

    with mock.patch("django.contrib.auth.constant_time_compare", return_value=True):
        assert opens("ended")
    assert opens("genuine")
    with mock.patch("django.contrib.auth.constant_time_compare", return_value=False):
        assert not opens("genuine")
    assert not opens("ended")


def test_the_token_of_a_form(db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get("/auth/sign-in/")

    def opens(token: str) -> bool:
        return client.post("/sessions/set-item/", {"csrfmiddlewaretoken": token}).status_code == 200

    genuine = client.cookies["csrftoken"].value
    decides("django.middleware.csrf.constant_time_compare", opens, genuine, "A" * 32)
