"""A wrong input is told what is wrong with it, with a 400, and costs nobody anything."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from demo.constants import LOGIN_COOKIE
from demo.models import User
from tests.conftest import on
from tests.families import COOKIE_ENGINES


def refused(client: Client, path: str, /, **data: Any) -> str:
    response = client.get(path, data)
    assert response.status_code == 400, response.content
    assert not response.cookies
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    return response.content.decode()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        " a",
        "a;b",
        "a=b",
        "a,b",
        "a\tb",
        "a\x00",
        "a\x7f",
        "a\r\nSet-Cookie: b=c",
        "ä",
        "名",
    ],
)
@pytest.mark.parametrize("path", ["/cookies/set-cookie/", "/cookies/by-hand/", "/reading/delete/"])
def test_a_name_that_is_no_token(path: str, name: str, client: Client) -> None:
    assert refused(client, path, name=name).startswith("name: ")


@pytest.mark.parametrize("name", ["path", "Max-Age", "samesite", "HTTPONLY"])
def test_a_name_that_is_an_attribute(name: str, client: Client) -> None:
    assert "attribute" in refused(client, "/cookies/set-cookie/", name=name)


@pytest.mark.parametrize("name", ["sessionid", "csrftoken", LOGIN_COOKIE, "messages"])
@pytest.mark.parametrize("path", ["/cookies/set-cookie/", "/reading/delete/", "/signed/sign/"])
def test_the_sites_own_cookies_are_not_for_setting(path: str, name: str, client: Client) -> None:
    assert "This site uses the cookie" in refused(client, path, name=name)


@pytest.mark.parametrize(
    ("name", "prefix", "needs"),
    [
        ("__Secure-color", "__Secure-", "Secure."),
        ("__Host-color", "__Host-", "Secure, Path=/, no Domain."),
        ("__Http-color", "__Http-", "Secure, HttpOnly."),
        ("__http-color", "__Http-", "Secure, HttpOnly."),
        ("__Host-Http-color", "__Host-Http-", "Secure, HttpOnly, Path=/, no Domain."),
    ],
)
@pytest.mark.parametrize("path", ["/cookies/set-cookie/", "/cookies/attributes/"])
def test_a_name_with_a_prefix_that_browsers_check(
    path: str, name: str, prefix: str, needs: str, client: Client
) -> None:
    answer = refused(client, path, name=name)
    assert f"“{prefix}”" in answer
    assert f"with {needs}" in answer


@pytest.mark.parametrize("name", ["__color", "__Hostcolor", "Http-color"])
def test_a_name_that_only_looks_like_it(name: str, client: Client) -> None:
    assert name in client.get("/cookies/set-cookie/", {"name": name}).cookies


@pytest.mark.parametrize("age", ["soon", "1.5", "", "34560001", "-34560001", "9" * 5000])
def test_max_age_that_is_none(age: str, client: Client) -> None:
    assert refused(client, "/cookies/max-age/", max_age=age).startswith("max_age: ")


@pytest.mark.parametrize(
    "moment", ["never", "2026-02-30 12:00", "", "9999-12-31 23:59", "0001-01-01"]
)
def test_a_date_that_is_none(moment: str, client: Client) -> None:
    assert refused(client, "/cookies/expires/", expires=moment).startswith("expires: ")


@pytest.mark.parametrize("path", ["/;secure", "/\r\nX: y", "/ä"])
def test_a_path_that_would_begin_another_attribute(path: str, client: Client) -> None:
    assert refused(client, "/cookies/attributes/", path=path).startswith("path: ")


def test_samesite_that_is_none(client: Client) -> None:
    assert refused(client, "/cookies/attributes/", samesite="Loose").startswith("samesite: ")


@pytest.mark.parametrize(
    "key", ["_auth_user_id", "uid", "username", "cart", "visits", "", "k" * 51]
)
def test_session_keys_that_are_not_for_typing(key: str, client: Client) -> None:
    response = client.post("/sessions/set-item/", {"key": key, "value": "1"})
    assert response.status_code == 400
    assert response.content.decode().startswith("key: ")


@pytest.mark.parametrize(
    "key", ["short", "../../etc/passwd", "a" * 10_000, "x:y:z", "\xff", "0" * 32]
)
def test_a_session_key_that_is_none(key: str, profile: str, client: Client) -> None:
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    assert client.get("/sessions/get-item/").status_code == 200
    assert client.post("/sessions/set-item/").status_code == 200
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != key
    assert client.get("/sessions/get-item/").content.decode() == "color is blue\n"


@on("db", *COOKIE_ENGINES)
def test_a_session_key_of_another_engine(profile: str, client: Client, ada: User) -> None:
    other = {
        "db": "eyJjb2xvciI6ImJsdWUifQ:1wAbCd:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        **dict.fromkeys(COOKIE_ENGINES, "q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6"),
    }
    client.cookies[settings.SESSION_COOKIE_NAME] = other[profile]
    assert client.get("/auth/by-hand/").status_code == 200


def test_a_form_that_is_too_large(client: Client) -> None:
    size = (settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0) + 1
    response = client.post("/cookies/set-cookie/", {"value": "x" * size})
    assert response.status_code == 400
    assert "DATA_UPLOAD_MAX_MEMORY_SIZE" in response.content.decode()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_form_with_too_many_fields(method: str, client: Client) -> None:
    response = client.generic(
        method,
        "/cookies/set-cookie/?" + "a=1&" * 1001 if method == "GET" else "/cookies/set-cookie/",
        "a=1&" * 1001,
        content_type="application/x-www-form-urlencoded",
    )
    assert response.status_code == 400
    assert "NUMBER_FIELDS" in response.content.decode()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("multipart/form-data", "boundary"),
        ("application/x-www-form-urlencoded; charset=latin-1", "UTF-8"),
    ],
)
def test_a_form_that_is_no_form(kind: str, reason: str, client: Client) -> None:
    response = client.post("/cookies/set-cookie/", "nonsense", content_type=kind)
    assert response.status_code == 400
    assert reason in response.content.decode()
