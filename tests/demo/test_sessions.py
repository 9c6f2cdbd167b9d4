"""The session recipes, one after another as a visitor runs them, on every profile."""

import html
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import global_settings, settings
from django.contrib.sessions.backends.base import SessionBase
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from demo.ending_methods import compare_methods
from demo.models import User
from demo.session_settings import MEANING, OWN
from tests.conftest import on
from tests.families import IN_COOKIES, SERVER_ENGINES

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def post(client: Client, path: str, **data: object) -> str:
    response = client.post(path, data)
    assert response.status_code == 200, response.content
    return response.content.decode().strip()


def get(client: Client, path: str, **data: Any) -> str:
    return client.get(path, data).content.decode().strip()


def test_recipe_of_timeouts_shows_them(profile: str, client: Client, settings: Settings) -> None:
    post(client, "/sessions/set-item/")
    assert "SESSION_IDLE_AGE = None" in client.get("/expiry/idle-and-absolute/").text
    settings.SESSION_IDLE_AGE, settings.SESSION_ABSOLUTE_AGE = 60, 600
    text = client.get("/expiry/idle-and-absolute/").text
    assert "SESSION_IDLE_AGE = 60\nSESSION_ABSOLUTE_AGE = 600\n" in text
    assert "get_expiry_age() is 60 seconds" in text


@pytest.mark.parametrize(
    ("path", "renews"), [("/sessions/items/", True), ("/expiry/polling/", False)]
)
def test_recipe_that_polls_renews_nothing(
    path: str, renews: bool, profile: str, client: Client, settings: Settings
) -> None:
    post(client, "/sessions/set-item/")
    # The session is from before the setting, so a renewal is due.
    settings.SESSION_IDLE_AGE = 10 * 24 * 60 * 60
    response = client.get(path)
    # A cookie that is the session says itself when it was written.
    assert (settings.SESSION_COOKIE_NAME in response.cookies) == (
        renews and profile not in IN_COOKIES
    )


def test_dictionary_methods(profile: str, client: Client) -> None:
    assert "KeyError" in get(client, "/sessions/get-item/")
    assert get(client, "/sessions/get/", default="none") == "color is none"
    assert get(client, "/sessions/contains/") == "This session has no key color."
    assert "KeyError" in post(client, "/sessions/del-item/")
    assert post(client, "/sessions/set-item/", value="红") == "color is set to 红"
    assert get(client, "/sessions/get-item/") == "color is 红"
    assert get(client, "/sessions/get/") == "color is 红"
    assert get(client, "/sessions/contains/") == "This session has the key color."
    assert post(client, "/sessions/setdefault/", value="blue") == "color is 红"
    assert post(client, "/sessions/setdefault/", key="size", value="big") == "size is big"
    post(client, "/sessions/update/", key="color", value="blue")
    assert client.get("/sessions/keys/").json() == {"keys": ["color", "size", "updated"]}
    assert client.get("/sessions/values/").json() == {"values": ["blue", "big", True]}
    assert client.get("/sessions/items/").json()["items"]["size"] == "big"
    assert post(client, "/sessions/pop/") == "color was blue"
    assert post(client, "/sessions/pop/", default="gone") == "color was gone"
    assert post(client, "/sessions/del-item/", key="size") == "size is removed."
    assert client.get("/sessions/keys/").json() == {"keys": ["updated"]}


@on("db")
def test_lone_surrogate_is_shown_as_an_escape(profile: str, client: Client) -> None:
    """A view can store one in a session: JSON can represent it, and UTF-8 cannot."""
    session = client.session
    session["color"] = "\ud83c"
    session.save()
    assert get(client, "/sessions/get-item/") == r"color is \ud83c"


def test_nested_changes_are_lost_unless_modified_is_set(profile: str, client: Client) -> None:
    assert "An empty cart" in post(client, "/sessions/nested/")
    assert "['cookie']. The change is lost" in post(client, "/sessions/nested/")
    assert client.get("/sessions/items/").json() == {"items": {"cart": []}}
    assert "The response saves it." in post(
        client, "/sessions/nested/", item="milk", say_modified="on"
    )
    assert client.get("/sessions/items/").json() == {"items": {"cart": ["milk"]}}


def test_visits_are_counted(profile: str, client: Client) -> None:
    assert [post(client, "/sessions/visits/") for _ in range(3)] == [
        "Visit number 1.",
        "Visit number 2.",
        "Visit number 3.",
    ]


def test_apply_changes_stored_value(profile: str, client: Client) -> None:
    if profile in IN_COOKIES:
        assert "Keep sessions on the server" in post(client, "/sessions/apply/")
        return
    post(client, "/sessions/visits/")
    assert post(client, "/sessions/apply/") == "Visit number 2."
    assert post(client, "/sessions/apply/") == "Visit number 3."
    assert post(client, "/sessions/visits/") == "Visit number 4."


def test_djangos_engines_have_no_apply(client: Client, settings: Settings, db: None) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    assert "no attribute 'apply'" in post(client, "/sessions/apply/")


@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize(
    ("recipe", "data", "age", "at_browser_close"),
    [
        ("in-seconds", {"seconds": 300}, 300, False),
        ("at-browser-close", {}, 14 * 86400, True),
        ("by-settings", {}, 14 * 86400, False),
        ("at-a-moment", {"moment": "2026-03-01 13:00"}, 3600, False),
        ("in-a-timedelta", {"days": "31"}, 31 * 86400, False),
        ("in-a-timedelta", {"days": "0.08333333333333333"}, 7200, False),
    ],
)
def test_expiry_recipes_set_age_and_cookie(
    recipe: str,
    data: dict[str, object],
    age: int,
    at_browser_close: bool,
    profile: str,
    client: Client,
) -> None:
    post(client, "/sessions/set-item/")
    output = post(client, f"/expiry/{recipe}/", **data)
    expires = NOW + timedelta(seconds=age)
    assert output.splitlines() == [
        f"get_expiry_age() is {age} seconds",
        f"get_expiry_date() is {expires:%Y-%m-%d %H:%M:%S} UTC",
        f"get_expire_at_browser_close() is {at_browser_close}",
    ]
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["max-age"] == ("" if at_browser_close else age)


@pytest.mark.parametrize(
    ("recipe", "data"),
    [
        ("in-seconds", {"seconds": "many"}),
        ("in-seconds", {"seconds": 10**12}),
        ("in-seconds", {"seconds": 0}),
        ("at-a-moment", {"moment": "31st of never"}),
        ("in-a-timedelta", {"days": "3"}),
    ],
)
def test_invalid_expiry_is_refused(recipe: str, data: dict[str, object], client: Client) -> None:
    assert client.post(f"/expiry/{recipe}/", data).status_code == 400


@on("db", "file", "cached_db")
def test_clear_expired_deletes_expired_session(
    profile: str, store: type[SessionBase], client: Client
) -> None:
    session = store()
    session["color"] = "blue"
    session.set_expiry(-1)
    session.save()
    key = str(session.session_key)
    assert store().exists(key)
    output = post(client, "/expiry/clear-expired/")
    assert output == "1 expired session is cleared from the store."
    assert not store().exists(key)


@on("cache", "mongodb", *sorted(IN_COOKIES))
def test_clear_expired_says_that_nothing_is_cleared(profile: str, client: Client) -> None:
    assert post(client, "/expiry/clear-expired/") == (
        "Nothing is cleared: each browser holds its own session."
        if profile in IN_COOKIES
        else "0 expired sessions are cleared from the store."
    )


def test_djangos_engines_do_not_count_what_they_clear(
    client: Client, settings: Settings, db: None
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    assert "This engine does not count them." in post(client, "/expiry/clear-expired/")


def test_every_setting_is_listed_with_its_value(profile: str, client: Client) -> None:
    content = client.get(reverse("demo:expiry/every-setting")).content.decode()
    expected = {name for name in dir(global_settings) if name.startswith("SESSION_")}
    assert set(MEANING) == expected
    assert all(name in content for name in expected)
    assert settings.SESSION_ENGINE in content


def test_settings_of_this_project_are_marked(client: Client, settings: Settings, db: None) -> None:
    settings.SESSION_IDLE_AGE, settings.SESSION_HANDOVER_FROM = 4711, "file"
    content = client.get(reverse("demo:expiry/every-setting")).content.decode()
    djangos, own = html.unescape(content).split("This project's own")
    for name in OWN:
        assert not hasattr(global_settings, name)
        assert name not in djangos
        assert name in own
    assert "4711" in own
    assert "'file'" in own
    assert own.count('class="changed"') == 2


def test_public_page_does_not_show_folder(profile: str, client: Client) -> None:
    content = client.get(reverse("demo:expiry/every-setting")).content.decode()
    assert str(settings.SESSION_FILE_PATH) not in content


def test_test_cookie(profile: str, client: Client) -> None:
    assert "No test cookie" in post(client, "/lifecycle/test-cookie-worked/")
    post(client, "/lifecycle/set-test-cookie/")
    assert "The browser accepts cookies" in post(client, "/lifecycle/test-cookie-worked/")
    assert "No test cookie" in post(client, "/lifecycle/test-cookie-worked/")


def test_only_prefix_of_session_key_is_shown(profile: str, client: Client) -> None:
    assert "No session key yet" in get(client, "/lifecycle/session-key/")
    post(client, "/sessions/set-item/")
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    output = get(client, "/lifecycle/session-key/")
    assert key not in output
    assert f"{key[:8]}… ({len(key)} characters)" in output


SERVER_SIDE = on(*SERVER_ENGINES)


@SERVER_SIDE
@pytest.mark.parametrize(
    ("recipe", "stored_under_old_key", "cookie"),
    [
        ("clear", "", "same"),
        ("delete", None, "same"),
        ("flush", None, "deleted"),
        ("cycle-key", None, "new"),
    ],
)
def test_ending_methods(
    recipe: str,
    stored_under_old_key: str | None,
    cookie: str,
    profile: str,
    store: type[SessionBase],
    client: Client,
) -> None:
    post(client, "/sessions/set-item/")
    before = client.cookies[settings.SESSION_COOKIE_NAME].value
    post(client, f"/lifecycle/{recipe}/")
    after = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert {"same": after == before, "deleted": after == "", "new": after not in ("", before)}[
        cookie
    ]
    assert store().exists(before) == (stored_under_old_key is not None)
    expected = "blue" if recipe == "cycle-key" else "none"
    assert get(client, "/sessions/get/") == f"color is {expected}"


@pytest.mark.parametrize("recipe", ["clear", "delete", "flush", "cycle-key"])
@pytest.mark.parametrize("is_signed_in", [False, True])
def test_output_says_what_the_old_key_opens(
    recipe: str, is_signed_in: bool, profile: str, client: Client, ada: User
) -> None:
    if is_signed_in:
        client.force_login(ada)
    post(client, "/sessions/set-item/")
    copy = Client()
    copy.cookies[settings.SESSION_COOKIE_NAME] = client.cookies[settings.SESSION_COOKIE_NAME].value
    last_line = post(client, f"/lifecycle/{recipe}/").splitlines()[-1]
    opens = get(copy, "/sessions/get/") == "color is blue"
    if profile in IN_COOKIES:
        is_signed_out = is_signed_in and recipe != "cycle-key"
        assert opens == (not is_signed_out)
        assert ("so the site refuses copies" in last_line) == is_signed_out
    elif recipe == "cycle-key":
        assert not opens
        assert last_line == "The response saves the session, and then the old key ends."
    else:
        assert not opens
        assert last_line == f"The old key exists in the store: {recipe == 'clear'}"


@pytest.mark.parametrize("recipe", ["clear", "delete", "flush", "cycle-key"])
@pytest.mark.parametrize("cookie", ["", "q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6"])
def test_ending_no_session(recipe: str, cookie: str, profile: str, client: Client) -> None:
    if cookie:
        client.cookies[settings.SESSION_COOKIE_NAME] = cookie
    output = post(client, f"/lifecycle/{recipe}/")
    if cookie and profile in IN_COOKIES:
        # The cookie is the key, whatever it contains.
        return
    is_new = recipe == "cycle-key"
    assert ("a new one begins" if is_new else "there is nothing to end") in output
    now = client.cookies.get(settings.SESSION_COOKIE_NAME)
    assert bool(now and now.value not in {"", cookie}) == is_new


def test_expiry_of_no_session_is_not_stored(profile: str, client: Client) -> None:
    assert "nothing is stored" in post(client, "/expiry/by-settings/")
    assert settings.SESSION_COOKIE_NAME not in client.cookies


def test_cleared_session_is_not_empty_because_its_key_remains(profile: str, client: Client) -> None:
    post(client, "/sessions/set-item/")
    output = post(client, "/lifecycle/clear/")
    assert "is_empty() is False, because the key remains" in output


def test_compare_methods(profile: str, client: Client) -> None:
    blue = {"color": "blue"}
    clear, delete, flush, cycle_key = compare_methods()
    if profile in IN_COOKIES:
        # The server cannot end a session in a cookie.
        assert [end.stored_under_old_key for end in (clear, delete, flush, cycle_key)] == [blue] * 4
        return
    assert (clear.data, clear.stored_under_old_key, clear.key) == ({}, {}, "the same")
    assert (delete.data, delete.stored_under_old_key, delete.cookie) == (blue, None, "unchanged")
    assert (flush.key, flush.stored_under_old_key, flush.cookie) == ("none", None, "deleted")
    assert (cycle_key.key, cycle_key.stored_under_new_key, cycle_key.stored_under_old_key) == (
        "a new one",
        blue,
        None,
    )


@on("db", "cached_db")
def test_compare_methods_leaves_no_session(profile: str, store: type[SessionBase]) -> None:
    compare_methods()
    model = store.get_model_class()  # type: ignore[attr-defined]
    assert not model.objects.exists()
