"""The cookie of login_auth, made by somebody who has one of their own, or knows how it is made."""

from collections.abc import Iterator

from django.conf import settings
from django.core import signing
from django.http import HttpResponse
from django.test import Client
from django.utils.crypto import salted_hmac
from pytest_django import Settings

from demo.constants import LOGIN_COOKIE, LOGIN_SALT
from demo.login_auth import proofs_of
from demo.models import User

from .conftest import Judged, Send

PATH = "/auth/cookie-account/"


def proof_of(user: User) -> str:
    return next(proofs_of(user))


# What an id could be taken for.
IDS = [
    "", "0", "-1", "+1", "1.0", "1e0", "0x1", "01", "1 ", "1\n", "1_0", "\u0661", "\uff11",
    "\u00b9", "9" * 18, "9" * 19, "9" * 40, "-" + "9" * 40, "9" * 5000, "None", "null", "NaN",
    "inf", "True", "ada", "admin", "1 OR 1=1", "1' OR '1'='1", "1;--", "[1]", "{}", "\0", "1\0",
    "*", "%", "\udcff",
]  # fmt: skip


# Nobody's, and more than a column of the database holds.
NUMBERS = ["0", "-1", "-0", "9" * 18, "9" * 19, "9" * 40, "-" + "9" * 40, "9" * 4300]


def signed(value: str, key: str = "", salt: str = LOGIN_SALT, name: str = LOGIN_COOKIE) -> str:
    """As the site signs, with any key."""
    kept = settings.SECRET_KEY
    response = HttpResponse()
    settings.SECRET_KEY = key or kept
    try:
        response.set_signed_cookie(name, value, salt=salt)
    finally:
        settings.SECRET_KEY = kept
    return response.cookies[name].value


def proof(username: str) -> str:
    form = {"username": username, "password": "cookies"}
    return Client().post("/auth/cookie-sign-in/", form).cookies[LOGIN_COOKIE].value


def forged(mallory: User, ada: User) -> Iterator[str]:
    """By Mallory, who has signed in, for ada."""
    own = proof("mallory")
    value, moment, signature = own.split(":")
    held = value.partition(".")[2]
    for pk in (ada.pk, f"0{ada.pk}", f"+{ada.pk}"):
        yield f"{pk}.{held}:{moment}:{signature}"
        yield f"{pk}.{own}"
        yield f"{pk}.{held}"
    for key in ("another", "", settings.SECRET_KEY[:-1], settings.SECRET_KEY.upper()):
        yield signed(f"{ada.pk}.{proof_of(ada)}", key or "-")
    for what in (ada.password, ada.username, "", ada.get_session_auth_hash(), held):
        yield f"{ada.pk}.{what}:{moment}:{signature}"
        unkeyed = salted_hmac(LOGIN_SALT, what, secret="", algorithm="sha256").hexdigest()
        yield f"{ada.pk}.{unkeyed}:{moment}:{signature}"
    yield signing.dumps(f"{ada.pk}.{proof_of(ada)}")
    yield signing.dumps(f"{ada.pk}.{proof_of(ada)}", salt=LOGIN_SALT)
    yield signing.TimestampSigner(salt=LOGIN_COOKIE + LOGIN_SALT).sign(f"{ada.pk}.{proof_of(ada)}")
    yield from ("1", "true", "ada", str(ada.pk), f"{ada.pk}:ada")


def who_is_let_in(send: Send, value: str) -> str:
    """The page behind, or the name of an error."""
    answer = send(PATH, f"{LOGIN_COOKIE}={value}")
    if answer.status_code >= 500:
        return "error"
    return answer.content.decode() if answer.status_code == 200 else ""


def test_forged_by_another_user(
    profile: str, ada: User, settings: Settings, send: Send, judged: Judged
) -> None:
    mallory = User.objects.create_user("mallory", password="cookies")
    assert "welcome mallory" in who_is_let_in(send, proof("mallory"))
    tries = list(forged(mallory, ada))
    lost = [value for value in tries if who_is_let_in(send, value)]
    judged("A login_auth cookie is forged", tries, lost)


def test_signed_by_the_site_for_somebody_else(
    profile: str, ada: User, send: Send, judged: Judged
) -> None:
    """Were there a way to have it signed: the proof is still one user's, as the password is now."""
    mallory = User.objects.create_user("mallory", password="cookies")
    idle = User.objects.create_user("idle", password="cookies", is_active=False)
    old = proof_of(ada)
    ada.set_password("cookies")
    ada.save()
    proofs = [proof_of(mallory), old, "", ada.password, "\u00e9", "\0", proof_of(ada)[:-1]]
    tries = [signed(f"{ada.pk}.{held}") for held in proofs]
    tries += [signed(f"{idle.pk}.{proof_of(idle)}"), signed(f"{ada.pk}"), signed(f"{ada.pk}.")]
    tries += [signed(f"{10**6}.{proof_of(ada)}"), signed(f"{mallory.pk}.{proof_of(ada)}")]
    lost = [value for value in tries if who_is_let_in(send, value)]
    judged("A login_auth cookie is forged", tries, lost)


def test_an_id_that_is_none(profile: str, ada: User, send: Send, judged: Judged) -> None:
    """Under the signature of a cookie that is good; and such as the site itself has signed."""
    value, moment, signature = proof("ada").split(":")
    held = value.partition(".")[2]
    tries = [f"{pk}.{held}:{moment}:{signature}" for pk in IDS]
    texts = [pk for pk in IDS if pk.isascii() and pk.isprintable()]
    tries += [signed(f"{pk}.{held}") for pk in (*texts, *NUMBERS)]
    lost = [tried for tried in tries if who_is_let_in(send, tried)]
    judged("A login_auth cookie is forged", tries, lost)
