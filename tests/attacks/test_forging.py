"""The cookie of login_auth is forged by a user who has one, or who knows its format."""

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

from .conftest import Report, Send

PATH = "/auth/cookie-account/"


def proof_of(user: User) -> str:
    return next(proofs_of(user))


# Texts that could be read as an id.
IDS = [
    "", "0", "-1", "+1", "1.0", "1e0", "0x1", "01", "1 ", "1\n", "1_0", "\u0661", "\uff11",
    "\u00b9", "9" * 18, "9" * 19, "9" * 40, "-" + "9" * 40, "9" * 5000, "None", "null", "NaN",
    "inf", "True", "ada", "admin", "1 OR 1=1", "1' OR '1'='1", "1;--", "[1]", "{}", "\0", "1\0",
    "*", "%", "\udcff",
]  # fmt: skip


# Ids of no user, and ids too large for a column.
NUMBERS = ["0", "-1", "-0", "9" * 18, "9" * 19, "9" * 40, "-" + "9" * 40, "9" * 4300]


def signed(value: str, key: str = "", salt: str = LOGIN_SALT, name: str = LOGIN_COOKIE) -> str:
    """Sign as the site does, with any key."""
    site_key = settings.SECRET_KEY
    response = HttpResponse()
    settings.SECRET_KEY = key or site_key
    try:
        response.set_signed_cookie(name, value, salt=salt)
    finally:
        settings.SECRET_KEY = site_key
    return response.cookies[name].value


def login_cookie(username: str) -> str:
    form = {"username": username, "password": "cookies"}
    return Client().post("/auth/cookie-sign-in/", form).cookies[LOGIN_COOKIE].value


def forged(mallory: User, ada: User) -> Iterator[str]:
    """Yield cookies for Ada, forged by Mallory, who is signed in."""
    own_cookie = login_cookie("mallory")
    value, timestamp, signature = own_cookie.split(":")
    own_proof = value.partition(".")[2]
    for pk in (ada.pk, f"0{ada.pk}", f"+{ada.pk}"):
        yield f"{pk}.{own_proof}:{timestamp}:{signature}"
        yield f"{pk}.{own_cookie}"
        yield f"{pk}.{own_proof}"
    for key in ("another", "", settings.SECRET_KEY[:-1], settings.SECRET_KEY.upper()):
        yield signed(f"{ada.pk}.{proof_of(ada)}", key or "-")
    for text in (ada.password, ada.username, "", ada.get_session_auth_hash(), own_proof):
        yield f"{ada.pk}.{text}:{timestamp}:{signature}"
        unkeyed = salted_hmac(LOGIN_SALT, text, secret="", algorithm="sha256").hexdigest()
        yield f"{ada.pk}.{unkeyed}:{timestamp}:{signature}"
    yield signing.dumps(f"{ada.pk}.{proof_of(ada)}")
    yield signing.dumps(f"{ada.pk}.{proof_of(ada)}", salt=LOGIN_SALT)
    yield signing.TimestampSigner(salt=LOGIN_COOKIE + LOGIN_SALT).sign(f"{ada.pk}.{proof_of(ada)}")
    yield from ("1", "true", "ada", str(ada.pk), f"{ada.pk}:ada")


def opened_page(send: Send, value: str) -> str:
    """Return the page that the cookie gives access to, "error", or an empty text."""
    response = send(PATH, f"{LOGIN_COOKIE}={value}")
    if response.status_code >= 500:
        return "error"
    return response.content.decode() if response.status_code == 200 else ""


def test_cookie_forged_by_another_user_is_refused(
    profile: str, ada: User, settings: Settings, send: Send, report: Report
) -> None:
    mallory = User.objects.create_user("mallory", password="cookies")
    assert "welcome mallory" in opened_page(send, login_cookie("mallory"))
    tries = list(forged(mallory, ada))
    succeeded = [value for value in tries if opened_page(send, value)]
    report("A login_auth cookie is forged", tries, succeeded)


def test_signed_cookie_with_wrong_proof_is_refused(
    profile: str, ada: User, send: Send, report: Report
) -> None:
    """Even a signed cookie needs a proof of its own user and of the current password."""
    mallory = User.objects.create_user("mallory", password="cookies")
    idle = User.objects.create_user("idle", password="cookies", is_active=False)
    old = proof_of(ada)
    ada.set_password("cookies")
    ada.save()
    proofs = [proof_of(mallory), old, "", ada.password, "\u00e9", "\0", proof_of(ada)[:-1]]
    tries = [signed(f"{ada.pk}.{proof}") for proof in proofs]
    tries += [signed(f"{idle.pk}.{proof_of(idle)}"), signed(f"{ada.pk}"), signed(f"{ada.pk}.")]
    tries += [signed(f"{10**6}.{proof_of(ada)}"), signed(f"{mallory.pk}.{proof_of(ada)}")]
    succeeded = [value for value in tries if opened_page(send, value)]
    report("A login_auth cookie is forged", tries, succeeded)


def test_invalid_id_is_refused(profile: str, ada: User, send: Send, report: Report) -> None:
    """Invalid ids with the signature of a valid cookie, and ids that the site itself signed."""
    value, timestamp, signature = login_cookie("ada").split(":")
    adas_proof = value.partition(".")[2]
    tries = [f"{pk}.{adas_proof}:{timestamp}:{signature}" for pk in IDS]
    texts = [pk for pk in IDS if pk.isascii() and pk.isprintable()]
    tries += [signed(f"{pk}.{adas_proof}") for pk in (*texts, *NUMBERS)]
    succeeded = [value for value in tries if opened_page(send, value)]
    report("A login_auth cookie is forged", tries, succeeded)
