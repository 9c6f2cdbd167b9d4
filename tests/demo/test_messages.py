"""The recipes of django.contrib.messages: where a message waits, and that it is shown once."""

import pytest
from django.conf import settings as site_settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.test import Client
from pytest_django import Settings

COOKIE = CookieStorage.cookie_name


def waiting_in(client: Client) -> set[str]:
    """Return whether the browser has a cookie of messages, and the session an entry."""
    in_cookie = {"cookie"} if COOKIE in client.cookies and client.cookies[COOKIE].value else set()
    return in_cookie | ({"session"} if "_messages" in client.session else set())


@pytest.mark.parametrize(
    ("recipe", "places"), [("success", {"cookie"}), ("too-long", {"cookie", "session"})]
)
def test_message_waits_and_is_shown_once(
    recipe: str, places: set[str], profile: str, client: Client
) -> None:
    assert client.post(f"/messages/{recipe}/").text == "The message waits for the next page.\n"
    assert waiting_in(client) == places
    # Of a long message the cookie has only the mark that there is more.
    assert len(client.cookies[COOKIE].value) < 200
    assert client.post("/messages/get-messages/").text.startswith("success: ")
    # Django leaves a cookie that has only the mark.
    assert waiting_in(client) == ({"cookie"} if "session" in places else set())
    assert client.post("/messages/get-messages/").text == "No message waits.\n"


def test_several_messages_are_shown_in_order(profile: str, client: Client) -> None:
    client.post("/messages/success/", {"text": "first"})
    client.post("/messages/success/", {"text": "<b>second</b>"})
    assert client.post("/messages/get-messages/").text == (
        "success: first\nsuccess: <b>second</b>\n"
    )


def test_short_message_needs_no_session(client: Client, db: None) -> None:
    client.post("/messages/success/")
    assert site_settings.SESSION_COOKIE_NAME not in client.cookies


def test_page_names_limit_of_the_cookie(client: Client, db: None) -> None:
    assert (
        f"{CookieStorage.max_cookie_size:,} bytes" in client.get("/recipes/messages/too-long/").text
    )


def test_storage_in_the_session_alone(client: Client, db: None, settings: Settings) -> None:
    """As in production."""
    settings.MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
    client.post("/messages/success/")
    assert waiting_in(client) == {"session"}
    assert client.post("/messages/get-messages/").text == "success: Saved\n"
