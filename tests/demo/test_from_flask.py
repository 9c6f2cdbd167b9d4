"""The page for those who come from Flask: its facts are compared with Flask and Flask-Session."""

import html
import re
from datetime import timedelta
from http.cookies import SimpleCookie
from inspect import signature
from typing import Any

import flask
import flask_session
import pytest
import time_machine
from cachelib import SimpleCache
from django.conf import global_settings
from django.core.signing import b64_decode
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from flask_session.defaults import Defaults
from pytest_django import Settings

from demo.from_flask import ROWS
from demo.recipes import RECIPES

MONTH = 31 * 24 * 60 * 60


@pytest.fixture
def app() -> flask.Flask:
    """A Flask site with a view for each of the recipes set-item, get-item and flush."""
    app = flask.Flask(__name__)
    app.secret_key = "a key of flask"

    @app.post("/set/")
    def set_item() -> str:
        flask.session.permanent = flask.request.args.get("permanent", "yes") == "yes"
        flask.session["color"] = "blue"
        return ""

    @app.get("/get/")
    def get_item() -> str:
        return str(flask.session.get("color"))

    @app.post("/append/")
    def append() -> str:
        flask.session.setdefault("cart", []).append("cookie")
        return str(flask.session.modified)

    @app.post("/clear/")
    def clear() -> str:
        flask.session.clear()
        return ""

    return app


def cookie_of(response: Any, name: str = "session") -> Any:
    """Return the cookie that a response of Flask sets, None for none."""
    cookie = SimpleCookie(response.headers.get("Set-Cookie", ""))
    return cookie.get(name)


# What the page that a row links to must speak of: the beginning of the row, and a word of Django's.
PROMISED = {
    "response = make_response": "set_cookie",
    "request.cookies.get": "request.COOKIES.get",
    "response.delete_cookie": "delete_cookie",
    "URLSafeTimedSerializer": "set_signed_cookie",
    'session["color"]': "request.session[key]",
    '"color" in session': "in request.session",
    "session.pop": "request.session.pop",
    'session["cart"].append': "request.session.modified",
    "flash": "messages.success",
    "session.clear": "request.session.flush",
    "session.permanent = True": "SESSION_SAVE_EVERY_REQUEST",
    "session.permanent = False": "set_expiry(0)",
    "SESSION_REFRESH": "SESSION_SAVE_EVERY_REQUEST",
    "@app.before_request": "set_expiry",
    "SECRET_KEY": "SECRET_KEY_FALLBACKS",
    "SESSION_COOKIE_NAME": "SESSION_COOKIE_SAMESITE",
    'SESSION_TYPE = "redis"': "CACHE_URL to a Redis",
    'SESSION_TYPE = "memcached"': "memcached",
    'SESSION_TYPE = "filesystem"': "SESSION_FILE_PATH",
    'SESSION_TYPE = "mongodb"': "SESSION_PROFILE=mongodb",
    'SESSION_TYPE = "sqlalchemy"': "django_session",
    "SESSION_SERIALIZATION_FORMAT": "JSONSerializer",
    "app.session_interface.regenerate": "request.session.cycle_key",
    "flask session_cleanup": "manage.py clearsessions",
    "def login_required": "login_auth",
    "url_for": "session_key",
}
WITHOUT_LINK = ('SESSION_TYPE = "cachelib"', "SESSION_USE_SIGNER", "SESSION_KEY_PREFIX")


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    main = re.search("<main.*</main>", response.content.decode(), re.DOTALL)
    assert main
    return html.unescape(re.sub("<[^>]+>", "", main[0]))


def test_every_row_has_its_promise() -> None:
    beginnings = (*PROMISED, *WITHOUT_LINK)
    assert [sum(row.flask.startswith(start) for start in beginnings) for row in ROWS] == (
        [1] * len(ROWS)
    )
    for row in ROWS:
        assert bool(row.url) == (not row.flask.startswith(WITHOUT_LINK))
        assert bool(row.link_text) == bool(row.url)


@pytest.mark.parametrize(("start", "promised"), PROMISED.items(), ids=list(PROMISED))
def test_link_leads_to_what_the_row_promises(
    start: str, promised: str, client: Client, db: None
) -> None:
    [row] = [row for row in ROWS if row.flask.startswith(start)]
    text = text_of(client, row.url)
    # The page's heading, or the switch that it describes, is what the link says.
    title = row.link_text.removeprefix("Recipe: ").removeprefix("Switch to ")
    assert (f"to {title}: what happens" if row.engine else f"{title}\n") in text
    if row.route == "expiry/every-setting":
        # Its page has the table when its button is pressed.
        text += text_of(client, RECIPES[row.route].url)
    assert promised in text


def test_page_has_each_row_with_its_link(client: Client, db: None) -> None:
    page = html.unescape(client.get("/from-flask/").content.decode())
    text = re.sub("<[^>]+>", "", page)
    for row in ROWS:
        if row.url:
            assert f'href="{row.url}">{row.link_text}</a>' in page
        assert str(row.difference) in text
        assert row.flask in text
        assert row.django in text


def test_page_speaks_of_each_topic_of_a_tutorial() -> None:
    flask_side = " ".join(row.flask for row in ROWS)
    topics = """make_response set_cookie request.cookies.get delete_cookie session.permanent
        PERMANENT_SESSION_LIFETIME SECRET_KEY redis memcached filesystem mongodb sqlalchemy cachelib
        SESSION_USE_SIGNER SESSION_KEY_PREFIX SESSION_COOKIE_ SESSION_REFRESH_EACH_REQUEST
        session.clear() session.pop login_required session.modified before_request Serializer"""
    assert [topic for topic in topics.split() if topic not in flask_side] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.flask.partition("\n")[0])
def test_settings_exist(row: Any) -> None:
    """Each setting is one of Flask, Flask-Session, Django or this project, with that default."""
    flasks = flask.Flask.default_config | vars(Defaults)
    for name in re.findall(r"^[A-Z][A-Z_]+(?= =)", row.flask, re.MULTILINE):
        assert name in flasks
    ours = {"SESSION_ID_SIGNED"}
    for name in re.findall(r"^[A-Z][A-Z_]+(?= =)", row.django, re.MULTILINE):
        assert hasattr(global_settings, name) or name in ours


def test_defaults_of_the_cookie(app: flask.Flask) -> None:
    [row] = [row for row in ROWS if row.flask.startswith("SESSION_COOKIE_NAME")]
    for line, defaults in (
        *((line, app.config) for line in row.flask.splitlines()),
        *((line, vars(global_settings)) for line in row.django.splitlines()),
    ):
        name, value = line.split(" = ")
        assert repr(defaults[name]).replace("'", '"') == value


@pytest.mark.parametrize(
    ("method", "only_in_flask"),
    [("set_cookie", {"partitioned"}), ("delete_cookie", {"secure", "httponly", "partitioned"})],
)
def test_arguments_that_only_flask_has(method: str, only_in_flask: set[str]) -> None:
    flasks, djangos = (
        set(signature(getattr(response, method)).parameters)
        for response in (flask.Response, HttpResponse)
    )
    assert flasks - djangos == only_in_flask
    assert djangos <= flasks
    [row] = [row for row in ROWS if f"response.{method}(" in row.flask]
    assert only_in_flask <= set(re.findall("[a-z]+", str(row.difference)))


def test_flasks_session_is_signed_and_readable(app: flask.Flask) -> None:
    flasks = app.test_client()
    cookie = cookie_of(flasks.post("/set/"))
    assert b'"color":"blue"' in b64_decode(cookie.value.split(".")[0].encode())
    flasks.set_cookie("session", f"x{cookie.value[1:]}")
    assert flasks.get("/get/").text == "None"


@pytest.mark.parametrize("whose", ["Flask", "Flask-Session"])
def test_flasks_permanent_session_slides(whose: str, app: flask.Flask) -> None:
    if whose == "Flask-Session":
        app.config |= {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": SimpleCache()}
        flask_session.Session(app)
    flasks = app.test_client()
    start = timezone.now()
    with time_machine.travel(start):
        assert "31" in str(app.permanent_session_lifetime.days)
        first = cookie_of(flasks.post("/set/"))["expires"]
    with time_machine.travel(start + timedelta(days=30)):
        # A request that changes nothing.
        response = flasks.get("/get/")
        assert response.text == "blue"
        assert cookie_of(response)["expires"] != first
    with time_machine.travel(start + timedelta(days=60)):
        assert flasks.get("/get/").text == "blue"
    with time_machine.travel(start + timedelta(days=92)):
        flasks.set_cookie("session", cookie_of(response).value)
        assert flasks.get("/get/").text == "None"


@pytest.mark.parametrize("is_saved", [True, False])
def test_the_same_in_django(is_saved: bool, settings: Settings, db: None) -> None:
    settings.SESSION_COOKIE_AGE = MONTH
    settings.SESSION_SAVE_EVERY_REQUEST = is_saved
    client, start = Client(), timezone.now()
    with time_machine.travel(start):
        client.post("/sessions/set-item/")
    with time_machine.travel(start + timedelta(days=30)):
        response = client.get("/sessions/get-item/")
        assert b"color is blue" in response.content
        assert ("sessionid" in response.cookies) == is_saved
    with time_machine.travel(start + timedelta(days=60)):
        still = b"color is blue" in client.get("/sessions/get-item/").content
        assert still == is_saved


def test_session_that_is_not_permanent(app: flask.Flask, client: Client, db: None) -> None:
    cookie = cookie_of(app.test_client().post("/set/?permanent=no"))
    assert not cookie["expires"]
    assert not cookie["max-age"]
    client.post("/sessions/set-item/")
    assert client.cookies["sessionid"]["max-age"] == 14 * 24 * 60 * 60


def test_refresh_can_be_turned_off(app: flask.Flask) -> None:
    app.config["SESSION_REFRESH_EACH_REQUEST"] = False
    flasks = app.test_client()
    flasks.post("/set/")
    assert cookie_of(flasks.get("/get/")) is None


def test_list_in_flasks_session(app: flask.Flask) -> None:
    flasks = app.test_client()
    assert flasks.post("/append/").text == "True"
    assert flasks.post("/append/").text == "False"


def test_empty_session(app: flask.Flask, client: Client, db: None) -> None:
    flasks = app.test_client()
    flasks.post("/set/")
    deleted = cookie_of(flasks.post("/clear/"))
    assert deleted.value == ""
    assert deleted["expires"].endswith("1970 00:00:00 GMT")
    client.post("/sessions/set-item/")
    key = client.cookies["sessionid"].value
    client.post("/lifecycle/clear/")
    assert client.cookies["sessionid"].value == key
    client.post("/lifecycle/flush/")
    assert client.cookies["sessionid"].value == ""


def test_flask_session_by_default(app: flask.Flask) -> None:
    """Its cookie is a random key without a signature, and it keeps 500 files at most."""
    cache = SimpleCache()
    app.config |= {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": cache}
    flask_session.Session(app)
    flasks = app.test_client()
    key = cookie_of(flasks.post("/set/")).value
    assert cache.has(f"session:{key}")
    assert Defaults.SESSION_KEY_PREFIX == "session:"
    assert Defaults.SESSION_FILE_THRESHOLD == 500
    assert Defaults.SESSION_SERIALIZATION_FORMAT == "msgpack"
    flasks.set_cookie("session", f"{key}x")
    assert flasks.get("/get/").text == "None"


def test_flask_sessions_signer_is_deprecated(app: flask.Flask) -> None:
    app.config |= {
        "SESSION_TYPE": "cachelib",
        "SESSION_CACHELIB": SimpleCache(),
        "SESSION_USE_SIGNER": True,
    }
    assert Defaults.SESSION_USE_SIGNER is False
    with pytest.warns(DeprecationWarning, match="use_signer"):
        flask_session.Session(app)
    assert "." in cookie_of(app.test_client().post("/set/")).value


def test_flask_has_fallback_keys(app: flask.Flask) -> None:
    flasks = app.test_client()
    flasks.post("/set/")
    app.secret_key, app.config["SECRET_KEY_FALLBACKS"] = "a new key", ["a key of flask"]
    assert flasks.get("/get/").text == "blue"
    app.config["SECRET_KEY_FALLBACKS"] = []
    flasks.set_cookie("session", "")
    assert flasks.get("/get/").text == "None"
