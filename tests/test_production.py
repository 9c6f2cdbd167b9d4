"""The site as docs/production.md describes it: gunicorn, WhiteNoise, DEBUG off, HTTPS."""

import json
import re
import socket
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
import requests
from redis import Redis

from demo.recipes import RECIPES

from . import certificates
from .conftest import copied
from .servers import StoppableRedis
from .sites import Browser, in_production

PAGES = [
    "/",
    "/engines/",
    "/session/",
    "/break/",
    "/switch/",
    "/devices/",
    "/auth/account/",
    "/admin/login/",
    *(recipe.page_url for recipe in RECIPES.values()),
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates.make(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def host(
    tmp_path_factory: pytest.TempPathFactory, demo_database: Path, certificate: Path
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("site")
    files = ("--certfile", str(certificate), "--keyfile", str(certificate))
    with in_production(*files, DATABASE_URL=copied(demo_database, folder)) as host:
        yield host


@pytest.fixture
def ada(host: str, certificate: Path) -> Browser:
    browser = Browser(f"https://{host}")
    browser.verify = str(certificate)
    page = browser.submit("/auth/sign-in/", "/auth/sign-in/", username="ada", password="cookies")
    assert "welcome ada" in page.text
    return browser


def test_pages_and_their_static_files_are_served(ada: Browser) -> None:
    static_files = set()
    for path in PAGES:
        response = ada.open(path)
        assert response.status_code == 200, path
        static_files |= set(re.findall(r'(?:href|src)="(/static/[^"]+)"', response.text))
    assert len(static_files) > 5
    for path in static_files:
        assert ada.open(path).status_code == 200, path


def test_content_security_policy_allows_only_the_site(ada: Browser) -> None:
    for path in (*PAGES, "/nowhere/", "/static/demo/site.css", "/sessions/get-item/"):
        policy = ada.open(path).headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy, path
        assert "unsafe" not in policy
        assert "http" not in policy


def test_cookies_have_the_host_prefix(ada: Browser) -> None:
    """RFC 6265bis, 4.1.3.2, requires Secure, the path / and no domain."""
    ada.submit("/", "/language/", language="zh-hans")
    ada.submit("/auth/cookie-sign-in/", "/auth/cookie-sign-in/", username="ada", password="cookies")
    assert "ada" in ada.open("/auth/cookie-account/").text
    names = {"sessionid", "csrftoken", "language", "login_auth"}
    assert {cookie.name for cookie in ada.cookies} == {f"__Host-{name}" for name in names}
    for cookie in ada.cookies:
        assert cookie.secure, cookie.name
        assert cookie.path == "/"
        assert not cookie.domain_specified


def test_sign_out_deletes_cookies(ada: Browser) -> None:
    for page, action in (
        ("/auth/account/", "/auth/sign-out/"),
        ("/auth/cookie-account/", "/auth/cookie-sign-out/"),
    ):
        ada.submit(page, action)
    assert {cookie.name for cookie in ada.cookies} == {"__Host-csrftoken"}


def test_http_is_redirected_to_https_except_for_health_checks(
    demo_database: Path, tmp_path: Path
) -> None:
    """X-Forwarded-Proto of the proxy decides. Health checks do not pass through the proxy."""
    with in_production(DATABASE_URL=copied(demo_database, tmp_path)) as host:
        redirect = requests.get(f"http://{host}/devices/", allow_redirects=False, timeout=10)
        assert redirect.status_code == 301
        assert redirect.headers["Location"] == f"https://{host}/devices/"
        address = {"Host": "10.0.0.1"}
        health = requests.get(
            f"http://{host}/health/", headers=address, allow_redirects=False, timeout=10
        )
        assert (health.status_code, health.json()) == (200, {"database": "ok", "sessions": "ok"})
        by_proxy = {"X-Forwarded-Proto": "https"}
        page = requests.get(f"http://{host}/", headers=by_proxy, timeout=10)
        assert page.status_code == 200
        assert page.headers["Strict-Transport-Security"] == "max-age=3600"


def test_logs_are_json_and_contain_no_cookie(
    demo_database: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The store becomes unreachable, and a view fails."""
    redis = StoppableRedis(tmp_path)
    redis.start()
    variables = {
        "DATABASE_URL": copied(demo_database, tmp_path),
        "SESSION_PROFILE": "cache",
        "CACHE_URL": f"{redis.url}/0",
    }
    try:
        with in_production("--log-level", "warning", **variables) as host:
            browser = Browser(f"http://{host}")
            browser.headers["X-Forwarded-Proto"] = "https"
            sign_in(browser)
            redis.stop()
            assert browser.open("/auth/account/").status_code == 503
            assert browser.open("/health/").json() == {"database": "ok", "sessions": "unreachable"}
            redis.start()
            assert browser.open("/nowhere/").status_code == 404
            change_sessions(redis, visits="many")
            page = browser.open("/auth/account/").text
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
            assert token
            failed = browser.post(
                f"{browser.site}/sessions/visits/",
                {"csrfmiddlewaretoken": token[1]},
                headers={"Referer": f"https://{host}/"},
            )
            assert failed.status_code == 500
            (tmp_path / "db.sqlite3").unlink()
            (tmp_path / "db.sqlite3").touch()
            assert browser.open("/auth/account/").status_code == 503
            malformed = f"GET / HTTP/1.1\r\nCookie {browser.cookies.values()[0]}\r\n\r\n"
            assert response_to(host, malformed).startswith("HTTP/1.1 400")
    finally:
        redis.stop()
    text = capfd.readouterr().err
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line.get("status_code") for line in lines} >= {404, 500, 503}
    assert any("TypeError" in line.get("exc_info", "") for line in lines)
    assert any("Run manage.py migrate." in line["message"] for line in lines)
    assert any("Invalid HTTP Header: 'Cookie [hidden]'" in line["message"] for line in lines)
    for cookie in browser.cookies:
        assert cookie.value
        assert cookie.value not in text


def change_sessions(redis: StoppableRedis, **values: object) -> None:
    """Write these values into each signed-in session."""
    with Redis(port=redis.port, db=1) as client:
        for name in client.scan_iter():
            stored = json.loads(client.get(name) or "{}")
            if "_auth_user_id" in stored:
                client.set(name, json.dumps(stored | values), keepttl=True)


def test_gunicorn_logs_to_one_stream_without_accesses(
    demo_database: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Even if files are named. gunicorn logs no warning that Django answers HEAD like GET."""
    accesses, errors = tmp_path / "accesses", tmp_path / "errors"
    files = ("--access-logfile", str(accesses), "--error-logfile", str(errors))
    database = copied(demo_database, tmp_path)
    with in_production("--log-level", "info", *files, DATABASE_URL=database) as host:
        by_proxy = {"X-Forwarded-Proto": "https"}
        page = requests.head(f"http://{host}/in-path/0/kitchen/", headers=by_proxy, timeout=10)
        assert page.status_code == 404
        assert requests.head(f"http://{host}/health/", timeout=10).status_code == 200
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert {line["logger"] for line in lines} == {"gunicorn.error", "django.request"}
    assert accesses.read_text() == errors.read_text() == ""


def test_silent_database_is_unreachable_in_health_check() -> None:
    """It accepts connections but never answers. Without a time-out, gunicorn kills the worker."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgres://u:p@127.0.0.1:{silent.getsockname()[1]}/name"
        with in_production(DATABASE_URL=url) as host:
            response = requests.get(f"http://{host}/health/", timeout=20)
    assert response.status_code == 503
    assert response.json() == {"database": "unreachable", "sessions": "unreachable"}


def response_to(host: str, request: str) -> str:
    """The response to a raw request, which a client library would not send."""
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=10) as connection:
        connection.sendall(request.encode())
        return connection.recv(1000).decode()


def sign_in(browser: Browser) -> None:
    """Sign in as behind a proxy: over HTTP to gunicorn, with Secure cookies."""
    page = browser.open("/auth/sign-in/")
    store_cookies(browser, page)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token
    response = browser.post(
        f"{browser.site}/auth/sign-in/",
        {"username": "ada", "password": "cookies", "csrfmiddlewaretoken": token[1]},
        headers={"Referer": f"{browser.site.replace('http:', 'https:')}/"},
        allow_redirects=False,
    )
    assert response.status_code == 302
    store_cookies(browser, response)


def store_cookies(browser: Browser, response: requests.Response) -> None:
    for line in response.raw.headers.getlist("Set-Cookie"):
        for name, morsel in SimpleCookie(line).items():
            browser.cookies.set(name, morsel.value)
