"""Wrong input is refused with a 400 that names the reason, and sets no cookie."""

import itertools
import re
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from demo.constants import LOGIN_COOKIE
from demo.models import User
from demo.recipes import RECIPES
from demo.recipes.form_errors import error_messages
from demo.recipes.recipe import initial_values
from tests.conftest import on
from tests.families import COOKIE_ENGINES


def error_of(client: Client, path: str, /, **data: Any) -> str:
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
def test_invalid_cookie_name_is_refused(path: str, name: str, client: Client) -> None:
    assert error_of(client, path, name=name).startswith("name: ")


@pytest.mark.parametrize("name", ["path", "Max-Age", "samesite", "HTTPONLY"])
def test_attribute_as_cookie_name_is_refused(name: str, client: Client) -> None:
    assert "attribute" in error_of(client, "/cookies/set-cookie/", name=name)


@pytest.mark.parametrize("name", ["sessionid", "csrftoken", LOGIN_COOKIE, "messages"])
@pytest.mark.parametrize("path", ["/cookies/set-cookie/", "/reading/delete/", "/signed/sign/"])
def test_cookies_of_this_site_cannot_be_set(path: str, name: str, client: Client) -> None:
    assert "This site uses the cookie" in error_of(client, path, name=name)


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
def test_prefix_without_its_attributes_is_refused(
    path: str, name: str, prefix: str, needs: str, client: Client
) -> None:
    message = error_of(client, path, name=name)
    assert f"“{prefix}”" in message
    assert f"with {needs}" in message


@pytest.mark.parametrize("name", ["__color", "__Hostcolor", "Http-color"])
def test_similar_prefix_is_accepted(name: str, client: Client) -> None:
    assert name in client.get("/cookies/set-cookie/", {"name": name}).cookies


@pytest.mark.parametrize("age", ["soon", "1.5", "", "34560001", "-34560001", "9" * 5000])
def test_invalid_max_age_is_refused(age: str, client: Client) -> None:
    assert error_of(client, "/cookies/max-age/", max_age=age).startswith("max_age: ")


@pytest.mark.parametrize(
    "moment", ["never", "2026-02-30 12:00", "", "9999-12-31 23:59", "0001-01-01"]
)
def test_invalid_date_is_refused(moment: str, client: Client) -> None:
    assert error_of(client, "/cookies/expires/", expires=moment).startswith("expires: ")


@pytest.mark.parametrize(
    ("path", "field", "value", "advice"),
    [
        ("/cookies/max-age/", "max_age", "soon", "a whole number from -34560000 to 34560000."),
        ("/cookies/too-large/", "size", "8001", "Type a whole number from 1 to 8000."),
        ("/limits/max-age-over-400-days/", "days", "", "Type a whole number from 1 to 10000."),
        ("/limits/delete-twin/", "path", "/x/", "Type one of these: /limits/, /."),
        ("/cookies/attributes/", "samesite", "Loose", "Type one of these: Lax, Strict, None."),
        ("/cookies/set-cookie/", "name", "", "Type for example: color"),
        ("/cookies/set-cookie/", "value", "a\x00b", "Type for example: blue"),
        ("/cookies/attributes/", "path", "/;secure", "Type for example: /"),
        ("/cookies/attributes/", "domain", "..", "“..” is no domain. A domain is names with one"),
        ("/signed/read/", "max_age", "-1", "Type a whole number from 0 to 34560000."),
    ],
)
def test_error_says_what_to_type(
    path: str, field: str, value: str, advice: str, client: Client
) -> None:
    [line] = error_of(client, path, **{field: value}).splitlines()
    assert line.startswith(f"{field}: ")
    assert advice in line


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_date_of_the_advice_is_accepted(language: str, client: Client) -> None:
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    [line] = error_of(client, "/cookies/expires/", expires="yesterday").splitlines()
    [example] = re.findall(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}", line)
    assert client.get("/cookies/expires/", {"expires": example}).status_code == 200


def test_every_wrong_value_of_every_recipe_is_answered_in_a_short_line(db: None) -> None:
    """Only text that may be long or empty has no advice of its own."""
    wrong = (
        "",
        "yesterday",
        "1.5",
        "9" * 5000,
        "-99999999999",
        "a\x00b",
        "a\x01b",
        "ä;",
        "x" * 3000,
    )
    for recipe in RECIPES.values():
        initial = initial_values(recipe.form)
        for field, value in itertools.product(recipe.form.base_fields, wrong):
            form = recipe.form(initial | {field: value})
            for line in error_messages(form).splitlines():
                assert re.match(f"{field}: .{{20,400}}$", line), line
                assert re.search("Type (a|it|one|for)|is no domain|only printable", line) or (
                    field in {"domain", "path"} and "characters" in line
                ), line


@pytest.mark.parametrize(
    "domain",
    ["..", ".", "a..b", "a.test.", "a b", "http://a.test", "ä.test", "a;b", "a.test:80", "a\x01b"],
)
@pytest.mark.parametrize("path", ["/cookies/attributes/", "/limits/two-domains/"])
def test_invalid_domain_is_refused(path: str, domain: str, client: Client) -> None:
    assert error_of(client, path, domain=domain).startswith(f"domain: “{domain}” is no domain.")


@pytest.mark.parametrize("domain", [".a.test", "a_b.test", "127.0.0.1", "[::1]", "localhost"])
def test_valid_domain_is_set(domain: str, client: Client) -> None:
    response = client.get("/cookies/attributes/", {"domain": domain})
    assert response.cookies["color"]["domain"] == domain


@pytest.mark.parametrize("path", ["/;secure", "/\r\nX: y", "/ä"])
def test_invalid_path_is_refused(path: str, client: Client) -> None:
    assert error_of(client, "/cookies/attributes/", path=path).startswith("path: ")


def test_invalid_samesite_is_refused(client: Client) -> None:
    assert error_of(client, "/cookies/attributes/", samesite="Loose").startswith("samesite: ")


@pytest.mark.parametrize(
    "key", ["_auth_user_id", "uid", "username", "cart", "visits", "order", "paid", "", "k" * 51]
)
def test_reserved_and_invalid_item_keys_are_refused(key: str, client: Client) -> None:
    response = client.post("/sessions/set-item/", {"key": key, "value": "1"})
    assert response.status_code == 400
    assert response.content.decode().startswith("key: ")


@pytest.mark.parametrize(
    "key", ["short", "../../etc/passwd", "a" * 10_000, "x:y:z", "\xff", "0" * 32]
)
def test_invalid_session_key_starts_new_session(key: str, profile: str, client: Client) -> None:
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    assert client.get("/sessions/get-item/").status_code == 200
    assert client.post("/sessions/set-item/").status_code == 200
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != key
    assert client.get("/sessions/get-item/").content.decode() == "color is blue\n"


@on("db", *COOKIE_ENGINES)
def test_session_key_of_another_engine_is_no_error(profile: str, client: Client, ada: User) -> None:
    foreign_keys = {
        "db": "eyJjb2xvciI6ImJsdWUifQ:1wAbCd:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        **dict.fromkeys(COOKIE_ENGINES, "q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6"),
    }
    client.cookies[settings.SESSION_COOKIE_NAME] = foreign_keys[profile]
    assert client.get("/auth/by-hand/").status_code == 200


def test_too_large_form_is_refused(client: Client) -> None:
    size = (settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0) + 1
    response = client.post("/cookies/set-cookie/", {"value": "x" * size})
    assert response.status_code == 400
    assert "DATA_UPLOAD_MAX_MEMORY_SIZE" in response.content.decode()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_form_with_too_many_fields_is_refused(method: str, client: Client) -> None:
    response = client.generic(
        method,
        "/cookies/set-cookie/?" + "a=1&" * 1001 if method == "GET" else "/cookies/set-cookie/",
        "a=1&" * 1001,
        content_type="application/x-www-form-urlencoded",
    )
    assert response.status_code == 400
    assert "NUMBER_FIELDS" in response.content.decode()


@pytest.mark.parametrize(
    ("content_type", "reason"),
    [
        ("multipart/form-data", "boundary"),
        ("application/x-www-form-urlencoded; charset=latin-1", "UTF-8"),
    ],
)
def test_malformed_form_is_refused(content_type: str, reason: str, client: Client) -> None:
    response = client.post("/cookies/set-cookie/", "nonsense", content_type=content_type)
    assert response.status_code == 400
    assert reason in response.content.decode()
