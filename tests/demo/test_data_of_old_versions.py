"""Cookies, rows and addresses that were made from the literal names alone.

So a release that finds them goes by them as the one that left them.
"""

from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from django.core import signing
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from django.utils.crypto import salted_hmac
from pytest_django import Settings

from cookieproj.devices.models import RefusedSession, SignedInSession
from cookieproj.engines import inspector, running_engine
from demo.models import User
from tests.browsers import browser, is_in, key_of, signed_by_django
from tests.conftest import on

DJANGOS_HASH = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"


def sealed(text: str, purpose: str, *context: bytes) -> str:
    key = salted_hmac(purpose, "", algorithm="sha512").digest()
    return AESSIV(key).encrypt(text.encode(), list(context)).hex()


def hmac(label: str, value: str, secret: str | None = None) -> str:
    return salted_hmac(label, value, secret=secret, algorithm="sha256").hexdigest()


def test_the_session_hash_counts_sign_outs(ada: User) -> None:
    auth_hash = hmac(DJANGOS_HASH, ada.password)
    assert ada.get_session_auth_hash() == auth_hash
    ada.sign_outs = 3
    assert ada.get_session_auth_hash() == hmac("demo.User", "3", secret=auth_hash)


def test_a_hash_that_was_kept_holds(ada: User) -> None:
    ada.session_hashes = signing.Signer(salt=f"demo.User:{ada.password}").sign("before")
    assert ada.get_session_auth_hash() == "before"


# The names of a table and its columns are in data too.
ROW = "SELECT engine, sealed_key, auth_hash FROM cookieproj_devices_signedinsession WHERE id = %s"


@on("db", "cache", "file", "cached_db")
def test_a_row_of_the_index(profile: str, ada: User) -> None:
    client = browser(ada)
    row, _expiry = client.session["_signed_in_session"]
    with connection.cursor() as cursor:
        cursor.execute(ROW, [UUID(row).hex])
        found = cursor.fetchone()
    key = key_of(client)
    auth_hash = sha256(ada.get_session_auth_hash().encode()).hexdigest()
    assert found == (profile, sealed(key, "demo.SignedInSession"), auth_hash)


@on("db", "cache", "file", "cached_db")
@pytest.mark.parametrize("name", ["{}", "cookieproj.engines.{}"])
def test_a_row_ends_its_session(profile: str, ada: User, name: str) -> None:
    client = browser(ada)
    SignedInSession.objects.all().forget()
    row = SignedInSession.objects.create(
        id=client.session["_signed_in_session"][0],
        user=ada,
        engine=name.format(profile),
        sealed_key=sealed(key_of(client), "demo.SignedInSession"),
        expires=timezone.now() + timedelta(hours=1),
    )
    row.delete()
    assert not is_in(client)


@on("signed_cookies")
def test_a_cookie_from_before_the_index_is_refused_by_its_row(profile: str, ada: User) -> None:
    cookie = signed_by_django(ada)
    adopted = UUID(bytes=sha256(f"demo.index:{cookie}".encode()).digest()[:16])
    client = Client()
    client.cookies["sessionid"] = cookie
    RefusedSession.objects.create(id=adopted, until=timezone.now() + timedelta(hours=1))
    assert not is_in(client)
    RefusedSession.objects.all().forget()
    client.cookies["sessionid"] = cookie
    assert is_in(client)


@pytest.mark.parametrize(
    ("name", "secure"), [("login_auth", False), ("__Host-login_auth", True)], ids=["http", "https"]
)
def test_the_cookie_of_login_auth(ada: User, settings: Settings, name: str, secure: bool) -> None:
    proof = hmac("demo.login_auth", ada.get_session_auth_hash())
    key = f"django.http.cookies{settings.SECRET_KEY}"
    signer = signing.TimestampSigner(
        key=key, salt=f"django.http.cookies.v2:15:demo.login_auth{name}"
    )
    client = Client()
    client.cookies[name] = signer.sign(f"{ada.pk}.{proof}")
    assert client.get("/auth/cookie-account/", secure=secure).status_code == 200


def test_a_session_in_the_path(db: None, settings: Settings) -> None:
    settings.DEMO_SESSION_IN_PATH = True
    session: Any = running_engine.store()()
    session["eaten"] = 7
    session.save()
    token = signing.dumps(session.session_key, salt="demo.session-in-path")
    page = Client().get(f"/in-path/{token}/kitchen/")
    assert "7 biscuits eaten" in page.content.decode()


@on("db", "cache", "file", "cached_db")
def test_a_session_in_an_address_of_the_admin(profile: str, ada: User) -> None:
    key = key_of(browser(ada))
    found = inspector.find(sealed(key, "demo.inspector", b"session key", profile.encode()))
    assert found
    assert found.listed.key == key


def test_the_demo_data_is_made_once(settings: Settings, db: None) -> None:
    settings.DEBUG = True
    call_command("demodata")
    sessions: Any = running_engine.store()
    for name in ("admin", "ada", "grace", "anonymous"):
        key = hmac("demo.demodata", f"{settings.SESSION_ENGINE} {name}")[:32]
        assert sessions(key).exists(key)
