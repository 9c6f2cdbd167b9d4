"""The language of the pages: preferred by the browser, or chosen and kept in a cookie."""

import pytest
from django.test import Client
from pytest_django import Settings

from demo.models import User

OTHER_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://other.example"}
THIS_SITE = {"Sec-Fetch-Site": "same-origin"}


def language(client: Client, **headers: str) -> str:
    """Return the language of the home page."""
    page = client.get("/", headers=headers).content.decode()
    return page.partition('<html lang="')[2].partition('"')[0]


@pytest.mark.parametrize(
    ("preferred", "expected"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-hans"),
        ("zh-Hans", "zh-hans"),
        ("de,zh-CN;q=0.5", "zh-hans"),
        ("de-DE,en-GB;q=0.5", "en"),
        ("no language; at all", "en"),
    ],
)
def test_language_preferred_by_browser(
    preferred: str, expected: str, client: Client, db: None
) -> None:
    assert language(client, **{"Accept-Language": preferred} if preferred else {}) == expected


def test_chosen_language_is_remembered(client: Client, db: None) -> None:
    response = client.post(
        "/language/", {"language": "zh-hans", "next": "/engines/"}, headers=THIS_SITE
    )
    assert (response.status_code, response.headers["Location"]) == (302, "/engines/")
    cookie = response.cookies["django_language"]
    assert (cookie.value, cookie["max-age"], cookie["samesite"]) == ("zh-hans", 31_536_000, "Lax")
    assert language(client, **{"Accept-Language": "en"}) == "zh-hans"


def test_recipe_sets_language(client: Client, db: None) -> None:
    client.get("/cookies/language/?language=zh-hans")
    assert language(client) == "zh-hans"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (THIS_SITE, 302),
        ({"Origin": "http://testserver"}, 302),
        (OTHER_SITE, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"}, 403),
        ({"Origin": "http://testserver.other.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_only_pages_of_this_site_set_language(
    headers: dict[str, str], status: int, client: Client, db: None
) -> None:
    csrf_client = Client(enforce_csrf_checks=True)
    response = csrf_client.post("/language/", {"language": "zh-hans"}, headers=headers)
    assert response.status_code == status
    assert ("django_language" in csrf_client.cookies) == (status == 302)


@pytest.mark.parametrize(
    "foreign_url", ["https://other.example/", "//other.example", "javascript:x"]
)
def test_next_to_another_site_is_ignored(foreign_url: str, client: Client, db: None) -> None:
    response = client.post("/language/", {"language": "en", "next": foreign_url}, headers=THIS_SITE)
    assert response.headers["Location"] == "/"


def test_unknown_language_is_ignored(client: Client, db: None) -> None:
    client.post("/language/", {"language": "xx"}, headers=THIS_SITE)
    assert "django_language" not in client.cookies
    client.cookies["django_language"] = "xx"
    assert language(client) == "en"
    assert client.get("/cookies/language/?language=xx").status_code == 400


def test_choosing_language_does_not_use_session(
    client: Client, ada: User, settings: Settings
) -> None:
    client.force_login(ada)
    response = client.post("/language/", {"language": "zh-hans"}, headers=THIS_SITE)
    assert "sessionid" not in response.cookies
    assert client.put("/language/").status_code == 405
