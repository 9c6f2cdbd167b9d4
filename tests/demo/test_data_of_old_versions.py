"""Cookies, rows and URLs as earlier versions wrote them, built from literal names, stay valid."""

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

HASH_LABEL = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"


def encrypted(text: str, purpose: str, *context: bytes) -> str:
    key = salted_hmac(purpose, "", algorithm="sha512").digest()
    return AESSIV(key).encrypt(text.encode(), list(context)).hex()


def hmac(label: str, value: str, secret: str | None = None) -> str:
    return salted_hmac(label, value, secret=secret, algorithm="sha256").hexdigest()


def test_session_hash_includes_sign_outs(ada: User) -> None:
    auth_hash = hmac(HASH_LABEL, ada.password)
    assert ada.get_session_auth_hash() == auth_hash
    ada.sign_outs = 3
    assert ada.get_session_auth_hash() == hmac("demo.User", "3", secret=auth_hash)


def test_stored_session_hash_stays_valid(ada: User) -> None:
    ada.session_hashes = signing.Signer(salt=f"demo.User:{ada.password}").sign("before")
    assert ada.get_session_auth_hash() == "before"


# The names of a table and its columns belong to the stored data.
ROW = "SELECT engine, sealed_key, auth_hash FROM cookieproj_devices_signedinsession WHERE id = %s"


@on("db", "cache", "file", "cached_db")
def test_registry_row(profile: str, ada: User) -> None:
    client = browser(ada)
    row_id, _expiry = client.session["_signed_in_session"]
    with connection.cursor() as cursor:
        cursor.execute(ROW, [UUID(row_id).hex])
        row = cursor.fetchone()
    key = key_of(client)
    auth_hash = sha256(ada.get_session_auth_hash().encode()).hexdigest()
    assert row == (profile, encrypted(key, "demo.SignedInSession"), auth_hash)


@on("db", "cache", "file", "cached_db")
@pytest.mark.parametrize("name", ["{}", "cookieproj.engines.{}"])
def test_deleting_registry_row_ends_its_session(profile: str, ada: User, name: str) -> None:
    client = browser(ada)
    SignedInSession.objects.all().forget()
    row = SignedInSession.objects.create(
        id=client.session["_signed_in_session"][0],
        user=ada,
        engine=name.format(profile),
        sealed_key=encrypted(key_of(client), "demo.SignedInSession"),
        expires=timezone.now() + timedelta(hours=1),
    )
    row.delete()
    assert not is_in(client)


@on("signed_cookies")
def test_refused_session_refuses_cookie_older_than_registry(profile: str, ada: User) -> None:
    cookie = signed_by_django(ada)
    registered_id = UUID(bytes=sha256(f"demo.index:{cookie}".encode()).digest()[:16])
    client = Client()
    client.cookies["sessionid"] = cookie
    RefusedSession.objects.create(id=registered_id, until=timezone.now() + timedelta(hours=1))
    assert not is_in(client)
    RefusedSession.objects.all().forget()
    client.cookies["sessionid"] = cookie
    assert is_in(client)


@pytest.mark.parametrize(
    ("name", "secure"), [("login_auth", False), ("__Host-login_auth", True)], ids=["http", "https"]
)
def test_login_auth_cookie(ada: User, settings: Settings, name: str, secure: bool) -> None:
    proof = hmac("demo.login_auth", ada.get_session_auth_hash())
    key = f"django.http.cookies{settings.SECRET_KEY}"
    signer = signing.TimestampSigner(
        key=key, salt=f"django.http.cookies.v2:15:demo.login_auth{name}"
    )
    client = Client()
    client.cookies[name] = signer.sign(f"{ada.pk}.{proof}")
    assert client.get("/auth/cookie-account/", secure=secure).status_code == 200


def test_session_in_path(db: None, settings: Settings) -> None:
    settings.DEMO_SESSION_IN_PATH = True
    session: Any = running_engine.store()()
    session["eaten"] = 7
    session.save()
    token = signing.dumps(session.session_key, salt="demo.session-in-path")
    page = Client().get(f"/in-path/{token}/kitchen/")
    assert "7 biscuits eaten" in page.content.decode()


@on("db", "cache", "file", "cached_db")
def test_encrypted_key_in_admin_url(profile: str, ada: User) -> None:
    key = key_of(browser(ada))
    session = inspector.find(encrypted(key, "demo.inspector", b"session key", profile.encode()))
    assert session
    assert session.listed.key == key


def test_session_keys_of_demodata(settings: Settings, db: None) -> None:
    settings.DEBUG = True
    call_command("demodata")
    sessions: Any = running_engine.store()
    for name in ("admin", "ada", "grace", "anonymous"):
        key = hmac("demo.demodata", f"{settings.SESSION_ENGINE} {name}")[:32]
        assert sessions(key).exists(key)
