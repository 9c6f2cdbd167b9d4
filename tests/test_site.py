"""The site over real HTTP, on each engine and each store there is for it."""

import http.client
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from django.test import Client

from .conftest import copied, new_database
from .sites import Browser, running

# Profile, and which of the servers it stands on beside SQLite.
SITES = [
    ("db", []),
    ("db", ["postgresql"]),
    ("cache", ["redis"]),
    ("cache", ["sentinel"]),
    ("cache", ["cluster"]),
    ("cache", ["valkey"]),
    ("cache", ["memcached"]),
    ("file", []),
    ("cached_db", ["postgresql", "redis"]),
    ("signed_cookies", []),
    ("encrypted_cookies", []),
]


@pytest.fixture(params=SITES, ids=lambda site: "-".join([site[0], *site[1]]))
def environment(
    request: pytest.FixtureRequest, tmp_path: Path, demo_database: Path
) -> dict[str, str]:
    """The variables of a site with demo accounts."""
    profile, servers = request.param
    variables = {
        "SESSION_PROFILE": profile,
        "DATABASE_URL": copied(demo_database, tmp_path),
        "SESSION_FILE_PATH": str(tmp_path / "sessions"),
    }
    for server in servers:
        url = request.getfixturevalue(f"{server}_url")
        if server == "postgresql":
            template = request.getfixturevalue("demo_postgresql")
            variables["DATABASE_URL"] = new_database(url, "restarted", template)
        else:
            variables["CACHE_URL"] = url
    return variables


def test_a_person_stays_signed_in_over_a_restart(environment: dict[str, str]) -> None:
    with running(**environment) as site:
        browser = Browser(site)
        page = browser.submit(
            "/auth/sign-in/", "/auth/sign-in/", username="ada", password="cookies"
        )
        assert "welcome ada" in page.text
        browser.submit("/recipes/sessions/set-item/", "/sessions/set-item/", value="你好 🍪")
    with running(**environment) as site:
        browser.site = site
        assert "welcome ada" in browser.open("/auth/account/").text
        assert browser.open("/sessions/get-item/").content.decode() == "color is 你好 🍪\n"
        browser.submit("/auth/account/", "/auth/sign-out/")
        assert "welcome" not in browser.open("/auth/account/").text


@pytest.mark.parametrize("environment", [("db", ["postgresql"])], indirect=True)
def test_a_session_key_with_a_nul_is_none_to_postgresql_too(environment: dict[str, str]) -> None:
    with running(**environment) as site:
        answer = raw(site, "/sessions/get-item/", Cookie='sessionid="\\000aaaaaaaaaaaa"')
    assert (answer[0], answer[2]) == (200, "KeyError: this session holds no color.\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, demo_database: Path) -> Iterator[str]:
    with running(DATABASE_URL=copied(demo_database, tmp_path_factory.mktemp("site"))) as address:
        yield address


def raw(site: str, path: str, **headers: str) -> tuple[int, list[tuple[str, str]], str]:
    """One request by the plainest client there is: nothing encoded or decoded on the way."""
    connection = http.client.HTTPConnection(site.removeprefix("http://"), timeout=30)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    answer = response.status, response.getheaders(), response.read().decode()
    connection.close()
    return answer


@pytest.mark.parametrize(
    "value", ["你好", "🍪", "a\r\nX-Injected: yes", "\x00", 'a"b; c', "%0d%0aX-Injected: yes"]
)
@pytest.mark.parametrize("way", ["set-cookie", "by-hand", "max-age"])
def test_no_value_breaks_a_header(way: str, value: str, site: str) -> None:
    status, headers, _ = raw(site, f"/cookies/{way}/?value={quote(value)}")
    names = [name.lower() for name, _ in headers]
    assert "x-injected" not in names
    if "\x00" in value:
        assert status == 400
        return
    assert (status, names.count("set-cookie")) == (200, 1)
    line = next(value for name, value in headers if name.lower() == "set-cookie").strip()
    sent = line.partition(";")[0]
    assert raw(site, "/reading/by-name/", Cookie=sent)[2] == f"color is {value}\n"


@pytest.mark.parametrize(
    "cookie",
    [
        "sessionid=" + "a" * 10_000,
        "sessionid=../../../../etc/passwd",
        'sessionid="\\000\\377aaaaaaaaaaaa"',
        "sessionid=\xff\xfe; =; ;;; a; =b; c==d",
        "sessionid",
        "login_auth=x; is_login=1; color=%ff%fe",
    ],
)
@pytest.mark.parametrize(
    "path", ["/", "/reading/by-name/", "/sessions/get-item/", "/auth/cookie-account/"]
)
def test_no_cookie_breaks_a_page(path: str, cookie: str, site: str) -> None:
    assert raw(site, path, Cookie=cookie)[0] in (200, 302)


def test_styles_come_with_debug_off_too(client: Client) -> None:
    response = client.get("/static/demo/site.css")
    assert response.status_code == 200
    assert "--paper" in b"".join(response).decode()


def test_production_leads_to_https() -> None:
    with running(
        DEBUG="off", SECRET_KEY=secrets.token_urlsafe(64), ALLOWED_HOSTS="127.0.0.1"
    ) as site:
        status, headers, _ = raw(site, "/auth/sign-in/?next=/")
    assert (status, dict(headers)["Location"]) == (
        301,
        site.replace("http://", "https://") + "/auth/sign-in/?next=/",
    )
