"""The site over real HTTP, on each engine and each of its stores."""

import http.client
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from django.test import Client

from .conftest import copied, new_database, prepare
from .sites import Browser, running

# The profile, and the servers that it uses in addition to SQLite.
SITES = [
    ("db", []),
    ("db", ["postgresql"]),
    ("db", ["mariadb"]),
    ("cache", ["redis"]),
    ("cache", ["sentinel"]),
    ("cache", ["cluster"]),
    ("cache", ["valkey"]),
    ("cache", ["memcached"]),
    ("file", []),
    ("cached_db", ["postgresql", "redis"]),
    ("cached_db", ["mariadb", "redis"]),
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
        elif server == "mariadb":
            variables["DATABASE_URL"] = new_database(url, "restarted")
            prepare(DATABASE_URL=variables["DATABASE_URL"])
        else:
            variables["CACHE_URL"] = url
    return variables


def test_restart_signs_out_nobody(environment: dict[str, str]) -> None:
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
def test_session_key_with_nul_is_ignored_on_postgresql(environment: dict[str, str]) -> None:
    with running(**environment) as site:
        response = send_raw(site, "/sessions/get-item/", Cookie='sessionid="\\000aaaaaaaaaaaa"')
    assert (response[0], response[2]) == (200, "KeyError: this session has no key color.\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, demo_database: Path) -> Iterator[str]:
    with running(DATABASE_URL=copied(demo_database, tmp_path_factory.mktemp("site"))) as address:
        yield address


def send_raw(site: str, path: str, **headers: str) -> tuple[int, list[tuple[str, str]], str]:
    """Send a request with a client that encodes and decodes nothing."""
    connection = http.client.HTTPConnection(site.removeprefix("http://"), timeout=30)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    result = response.status, response.getheaders(), response.read().decode()
    connection.close()
    return result


@pytest.mark.parametrize(
    "value", ["你好", "🍪", "a\r\nX-Injected: yes", "\x00", 'a"b; c', "%0d%0aX-Injected: yes"]
)
@pytest.mark.parametrize("recipe", ["set-cookie", "by-hand", "max-age"])
def test_no_value_breaks_a_header(recipe: str, value: str, site: str) -> None:
    status, headers, _ = send_raw(site, f"/cookies/{recipe}/?value={quote(value)}")
    names = [name.lower() for name, _ in headers]
    assert "x-injected" not in names
    if "\x00" in value:
        assert status == 400
        return
    assert (status, names.count("set-cookie")) == (200, 1)
    line = next(value for name, value in headers if name.lower() == "set-cookie").strip()
    sent = line.partition(";")[0]
    assert send_raw(site, "/reading/by-name/", Cookie=sent)[2] == f"color is {value}\n"


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
def test_invalid_cookie_is_no_server_error(path: str, cookie: str, site: str) -> None:
    assert send_raw(site, path, Cookie=cookie)[0] in (200, 302)


def test_styles_are_served_with_debug_off(client: Client) -> None:
    response = client.get("/static/demo/site.css")
    assert response.status_code == 200
    assert "--paper" in b"".join(response).decode()


def test_production_redirects_to_https() -> None:
    with running(
        DEBUG="off", SECRET_KEY=secrets.token_urlsafe(64), ALLOWED_HOSTS="127.0.0.1"
    ) as site:
        status, headers, _ = send_raw(site, "/auth/sign-in/?next=/")
    assert (status, dict(headers)["Location"]) == (
        301,
        site.replace("http://", "https://") + "/auth/sign-in/?next=/",
    )


def test_favicon(client: Client) -> None:
    """Without a database: it needs no session."""
    response = client.get("/favicon.ico")
    assert response.status_code == 302
    icon = client.get(response.headers["Location"])
    assert icon.headers["Content-Type"] == "image/svg+xml"
    # Reading it closes its file.
    assert icon.getvalue().startswith(b"<svg")
