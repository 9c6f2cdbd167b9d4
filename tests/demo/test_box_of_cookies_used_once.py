"""The four questions of messages and of an order: the cookie that waits until it is used."""

import pytest
from django.contrib.messages.storage.cookie import CookieStorage
from django.core import signing
from django.core.signing import b64_decode
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from demo.constants import RECEIPT_SALT
from demo.four_questions.answers import Answers, NoAnswers
from demo.recipes import RECIPES
from demo.store_durability import Fate

COOKIE = CookieStorage.cookie_name
MESSAGES = [route for route in RECIPES if route.startswith("messages/")]
IN_COOKIE = [route for route in MESSAGES if route != "messages/too-long"]
ALONE = "The message alone ends when a page has shown it."
IN_THE_SESSION = "django.contrib.messages.storage.session.SessionStorage"


@pytest.fixture
def client(settings: Settings) -> Client:
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    return Client(headers={"host": "127.0.0.1:8000"})


def box(client: Client, route: str) -> Answers:
    found = client.get(RECIPES[route].page_url).context["answers"]
    assert isinstance(found, Answers)
    return found


@pytest.mark.parametrize("is_run", [False, True])
@pytest.mark.parametrize("route", IN_COOKIE)
def test_messages_wait_in_a_cookie(route: str, is_run: bool, profile: str, client: Client) -> None:
    if is_run:
        client.post(f"/{route}/")
    found = box(client, route)
    assert found.about.startswith(f"The cookie {COOKIE} (HttpOnly; Path=/; SameSite=Lax), in ")
    assert found.about.endswith(
        "What does not fit into it waits in your session, and ends with either."
    )
    assert not found.is_session
    assert found.read[:2] == [
        "Everybody who has it: it is signed, not encrypted.",
        "Scripts cannot read the cookie (HttpOnly).",
    ]
    assert found.end == [
        "When the browser closes: it has no age.",
        "Before that, when a page has shown a message that waited in it.",
    ]


def test_box_of_a_message_is_true(client: Client, db: None) -> None:
    fates = {event.what: event.fate for event in box(client, "messages/success").events}
    client.post("/messages/success/", {"text": "a message that waits in the cookie"})
    cookie = client.cookies[COOKIE]
    assert cookie["httponly"]
    assert not cookie["max-age"]
    copy = cookie.value
    assert b"waits" in b64_decode(copy.partition(":")[0].encode())
    client.cookies[COOKIE] = f"x{copy}"
    assert client.post("/messages/get-messages/").text == "No message waits.\n"
    client.cookies[COOKIE] = copy
    client.post("/messages/get-messages/")
    assert not client.cookies[COOKIE].value
    assert fates["showing the message (a copy of the cookie shows it again)"] == Fate.ENDED
    client.cookies[COOKIE] = copy
    assert "waits" in client.post("/messages/get-messages/").text
    assert (
        "An older one can be put back unnoticed while it is valid."
        in box(client, "messages/success").change
    )


@pytest.mark.parametrize("route", MESSAGES)
def test_messages_wait_in_the_session(
    route: str, settings: Settings, client: Client, db: None
) -> None:
    """As in production."""
    settings.MESSAGE_STORAGE = IN_THE_SESSION
    assert box(client, route).about == (
        "MESSAGE_STORAGE keeps messages in the session, so this is about your session. "
        "Your session, once this browser has one, on the engine db."
    )
    assert box(client, route).is_session
    assert box(client, route).end[-1] == ALONE


@pytest.mark.parametrize("is_run", [False, True])
def test_long_message_waits_in_the_session(is_run: bool, profile: str, client: Client) -> None:
    if is_run:
        client.post("/messages/too-long/")
    found = box(client, "messages/too-long")
    assert found.about.startswith("The message does not fit into its cookie, which only says")
    has_one = "" if is_run else ", once this browser has one"
    assert found.about.endswith(f"Your session{has_one}, on the engine {profile}.")
    assert found.end[-2] == ALONE
    fates = {event.what: event.fate for event in found.events}
    assert fates["closing the browser, unless it restores its tabs"] == Fate.ENDED
    assert "closing the browser" not in fates
    assert found.is_session


def test_box_of_a_long_message_is_true(client: Client, db: None) -> None:
    """Neither what ends the session nor showing the message leaves it."""
    client.post("/messages/too-long/")
    copy = client.cookies[COOKIE].value
    assert client.post("/messages/get-messages/").text.startswith("success: ")
    assert client.post("/messages/get-messages/").text == "No message waits.\n"
    client.cookies[COOKIE] = copy
    assert client.post("/messages/get-messages/").text == "No message waits.\n"
    client.post("/messages/too-long/")
    # As when the browser closes: the cookie of the session has an age, and stays.
    del client.cookies[COOKIE]
    assert client.session["_messages"]
    assert client.post("/messages/get-messages/").text == "No message waits.\n"
    assert "nothing shows the message" in box(client, "messages/too-long").end[-1]
    client.post("/messages/too-long/")
    client.post("/lifecycle/flush/")
    assert client.post("/messages/get-messages/").text == "No message waits.\n"


def test_box_leaves_no_message(client: Client, db: None) -> None:
    for route in MESSAGES:
        box(client, route)
    assert COOKIE not in client.cookies
    assert client.post("/messages/get-messages/").text == "No message waits.\n"


def test_messages_wait_in_the_cookie_alone(settings: Settings, client: Client, db: None) -> None:
    settings.MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
    found = box(client, "messages/success")
    assert found.about.endswith("in which a message waits until a page shows it.")
    assert found.end[1] == "Before that, when a page has shown the message."


def test_long_message_ends_with_the_session(client: Client, db: None) -> None:
    client.post("/messages/too-long/")
    del client.cookies["sessionid"]
    assert client.post("/messages/get-messages/").text == "No message waits.\n"


def test_message_that_browsers_drop(settings: Settings, db: None) -> None:
    settings.SESSION_COOKIE_SECURE = True
    found = Client().get("/recipes/messages/success/").context["answers"]
    assert isinstance(found, NoAnswers)
    assert found.why.startswith("Browsers drop the cookie messages")


def test_page_says_that_the_mark_stays(client: Client, db: None) -> None:
    client.post("/messages/too-long/")
    client.post("/messages/get-messages/")
    assert client.cookies[COOKIE].value
    assert not client.cookies[COOKIE]["max-age"]
    about = str(RECIPES["messages/get-messages"].about)
    assert about.endswith("the cookie that says so stays until the browser closes.")


@pytest.mark.parametrize("is_run", [False, True])
def test_order_has_a_cookie_of_its_own(is_run: bool, profile: str, client: Client) -> None:
    if is_run:
        client.post("/payment/order-cookie/")
    found = box(client, "payment/order-cookie")
    path = reverse("demo:payment-back-order-cookie")
    assert found.about.startswith("The cookie order (")
    assert f"Path={path}; SameSite=None; Secure" in found.about
    assert found.end[0].startswith("20 minutes after it was set.")
    assert found.end[1] == "Before that, when you come back with the receipt for this order."
    assert "A form that another site posts comes with it (SameSite=None)." in found.change


def test_coming_back_deletes_the_cookie_of_the_order(client: Client, db: None) -> None:
    client.post("/payment/order-cookie/")
    events = box(client, "payment/order-cookie").events
    fates = {event.what: event.fate for event in events}
    receipt = signing.dumps(client.session["order"], salt=RECEIPT_SALT)
    copy = client.cookies["order"].value
    client.post(reverse("demo:payment-back-order-cookie"), {"receipt": receipt})
    assert not client.cookies["order"].value
    [event] = [what for what in fates if what.startswith("coming back with the receipt")]
    assert fates[event] == Fate.ENDED
    assert event.endswith("(copies of both are accepted again)")
    client.cookies["order"] = copy
    again = client.post(reverse("demo:payment-back-order-cookie"), {"receipt": receipt})
    assert again.context["is_paid"]


@pytest.mark.parametrize("way", ["lost", "landing", "order-cookie"])
def test_new_order_is_not_paid(way: str, profile: str, client: Client) -> None:
    receipt = signing.dumps("earlier", salt=RECEIPT_SALT)
    client.post("/payment/back-lost/", {"receipt": receipt})
    assert client.session["paid"] == "earlier"
    client.post(f"/payment/{way}/")
    assert client.session["order"]
    assert "paid" not in client.session
