"""/health/: whether the stores answer."""

from pathlib import Path
from unittest import mock

import pytest
from django.contrib.auth.backends import ModelBackend
from django.db import OperationalError, connections
from django.test import Client
from pytest_django import Settings

from cookieproj.settings.caches import caches
from demo.models import User
from tests.conftest import connected, on


def test_all_is_well(profile: str, client: Client) -> None:
    response = client.get("/health/")
    well = {"database": "ok", "sessions": "ok"}
    if profile == "cached_db":
        well["cache"] = "ok"
    assert (response.status_code, response.json()) == (200, well)
    assert "no-store" in response.headers["Cache-Control"]
    assert not response.cookies


@on("cache")
def test_a_store_that_is_away_is_told(
    profile: str, client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = caches("redis://:secret@127.0.0.1:1/0")
    response = client.get("/health/")
    assert response.status_code == 503
    assert response.json() == {"database": "ok", "sessions": "away"}
    assert "Redis 127.0.0.1:1" in caplog.text
    assert "secret" not in caplog.text


@on("cached_db")
def test_a_cache_before_rows_may_be_away(
    profile: str, client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = caches("redis://127.0.0.1:1/0")
    response = client.get("/health/")
    assert response.status_code == 200
    assert response.json() == {"database": "ok", "sessions": "ok", "cache": "away"}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Redis 127.0.0.1:1" in caplog.text


def test_it_is_asked_by_any_name(
    db: None, client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A load balancer may know no other than the address."""
    settings.ALLOWED_HOSTS = ["example.com"]
    assert client.get("/", headers={"host": "10.0.0.1"}).status_code == 400
    caplog.clear()
    for path in ("/health/", "/health"):
        assert client.get(path, headers={"host": "10.0.0.1"}).status_code == 200
    assert not caplog.records


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_told(client: Client, tmp_path: Path) -> None:
    with connected(f"sqlite:///{tmp_path}/no/folder/db.sqlite3"):
        response = client.get("/health/")
        connections["default"].close()
    assert response.status_code == 503
    assert response.json() == {"database": "away", "sessions": "away"}


@pytest.mark.django_db(transaction=True)
@on("cached_db")
def test_a_page_without_the_database_is_a_503(
    profile: str, client: Client, ada: User, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The session is read from the cache, and its user is not there."""
    client.force_login(ada)
    client.get("/auth/account/")
    client.raise_request_exception = False
    caplog.clear()
    with connected(f"sqlite:///{tmp_path}/no/folder/db.sqlite3"):
        response = client.get("/auth/account/")
        connections["default"].close()
    assert response.status_code == 503
    assert "reload the page" in response.text
    assert not response.cookies
    assert not any(record.exc_info for record in caplog.records)
    assert "welcome ada" in client.get("/auth/account/").text


def test_what_else_goes_wrong_in_it_is_a_fault(client: Client, ada: User) -> None:
    client.force_login(ada)
    client.raise_request_exception = False
    with mock.patch.object(ModelBackend, "get_user", side_effect=OperationalError("no such table")):
        assert client.get("/auth/account/").status_code == 500


@on("file")
def test_a_folder_that_is_gone_is_told(
    profile: str, client: Client, settings: Settings, tmp_path: Path
) -> None:
    client.get("/health/")
    tmp_path.rmdir()
    assert client.get("/health/").json() == {"database": "ok", "sessions": "away"}


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_is_only_asked(method: str, client: Client) -> None:
    assert getattr(client, method)("/health/").status_code == 405
