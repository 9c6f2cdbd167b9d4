"""The recipes that set, read, delete and sign cookies, and the headers that they send."""

from datetime import UTC, datetime, timedelta
from http.cookies import Morsel
from typing import Any

import pytest
import time_machine
from django.test import Client

from demo.constants import SECURE_LOGIN_COOKIE

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def cookie_set_by(client: Client, path: str, /, **data: Any) -> Morsel[str]:
    response = client.get(path, data)
    assert response.status_code == 200, response.content
    return response.cookies[str(data.get("name", "color"))]


def test_set_cookie_sets_no_expiry(client: Client) -> None:
    line = cookie_set_by(client, "/cookies/set-cookie/").OutputString()
    assert line == "color=blue; Path=/"


@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize("age", [60, 0, -5])
def test_max_age_also_sets_expires(age: int, client: Client) -> None:
    cookie = cookie_set_by(client, "/cookies/max-age/", max_age=age)
    assert int(cookie["max-age"]) == age
    expected = NOW + timedelta(seconds=age)
    assert cookie["expires"] == f"{expected:%a, %d %b %Y %H:%M:%S} GMT"


@pytest.mark.parametrize(
    ("age", "message"),
    [
        (60, "The response sets color for 60 seconds."),
        (1, "The response sets color for 1 second."),
        (0, "The response deletes color: its age is zero or less."),
        (-5, "The response deletes color: its age is zero or less."),
    ],
)
def test_response_says_whether_age_deletes_cookie(age: int, message: str, client: Client) -> None:
    for recipe in ("max-age", "max-age-and-expires"):
        response = client.get(f"/cookies/{recipe}/", {"max_age": age})
        assert response.content.decode().splitlines()[0] == message


@time_machine.travel(NOW, tick=False)
def test_response_says_whether_time_deletes_cookie(client: Client) -> None:
    for time, message in (
        ("2026-03-01 12:01", "The response sets color until 2026-03-01 12:01 UTC.\n"),
        ("2026-03-01 12:00", "The response deletes color: 2026-03-01 12:00 UTC is in the past.\n"),
    ):
        response = client.get("/cookies/expires/", {"expires": time})
        assert response.content.decode() == message


@time_machine.travel(NOW, tick=False)
def test_expires_also_sets_max_age(client: Client) -> None:
    cookie = cookie_set_by(client, "/cookies/expires/", expires="2026-03-01 13:00")
    assert cookie["expires"] == "Sun, 01 Mar 2026 13:00:01 GMT"
    assert cookie["max-age"] == 3601


@time_machine.travel(NOW, tick=False)
def test_max_age_and_expires_are_both_sent(client: Client) -> None:
    cookie = cookie_set_by(
        client, "/cookies/max-age-and-expires/", max_age=60, expires="2026-03-02 12:00"
    )
    assert (cookie["max-age"], cookie["expires"]) == (60, "Mon, 02 Mar 2026 12:00:00 GMT")


def test_attributes_are_sent(client: Client) -> None:
    cookie = cookie_set_by(
        client,
        "/cookies/attributes/",
        path="/cookies/",
        domain="example.com",
        secure="on",
        httponly="on",
        samesite="Strict",
    )
    line = cookie.OutputString(["path", "domain", "secure", "httponly", "samesite"])
    assert line == (
        "color=blue; Domain=example.com; HttpOnly; Path=/cookies/; SameSite=Strict; Secure"
    )


def test_set_cookie_header_by_hand(client: Client) -> None:
    response = client.get("/cookies/by-hand/", {"value": "dark blue"})
    assert response.headers["Set-Cookie"] == "color=dark%20blue; Path=/; SameSite=Lax"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/cookies/on-a-template/", "text/html; charset=utf-8"),
        ("/cookies/on-json/", "application/json"),
        ("/cookies/on-a-redirect/", "text/html; charset=utf-8"),
    ],
)
def test_cookie_on_each_kind_of_response(path: str, kind: str, client: Client) -> None:
    response = client.get(path)
    assert response.headers["Content-Type"] == kind
    assert response.cookies["color"].value == "blue"


def test_cookie_set_on_redirect_is_sent_to_next_page(client: Client) -> None:
    response = client.get("/cookies/on-a-redirect/", follow=True)
    assert response.json()["names"] == ["color"]


@pytest.mark.parametrize(
    ("size", "verdict"),
    [
        (4096 - len("big=; Path=/"), "browsers keep it.\n"),
        (4097 - len("big=; Path=/"), "browsers keep it, but RFC 6265 does not ask them to.\n"),
        (4096 - len("big"), "browsers keep it, but RFC 6265 does not ask them to.\n"),
        (4097 - len("big"), "browsers drop it.\n"),
    ],
)
def test_too_large_shows_what_browsers_do(size: int, verdict: str, client: Client) -> None:
    response = client.get(f"/cookies/too-large/?name=big&size={size}")
    assert response.content.decode().endswith(verdict)


@pytest.mark.parametrize("value", ["blue", "你好", "🍪", 'a "b"; c=d, \\', " spaced ", "50%20"])
@pytest.mark.parametrize("recipe", ["set-cookie", "max-age", "by-hand", "on-json"])
def test_value_is_read_unchanged(recipe: str, value: str, client: Client) -> None:
    response = client.get(f"/cookies/{recipe}/", {"value": value})
    client.cookies.load(response.headers.get("Set-Cookie", ""))
    assert client.get("/reading/by-name/").content.decode() == f"color is {value}\n"


def test_missing_cookie_is_no_error(client: Client) -> None:
    assert "KeyError" in client.get("/reading/by-name/").content.decode()
    response = client.get("/reading/with-a-default/", {"default": "green"})
    assert response.content.decode() == "color is green\n"


def test_all_cookies_shows_type_and_names_but_no_values(client: Client) -> None:
    client.cookies["sessionid"] = "secret"
    response = client.get("/reading/all-cookies/")
    assert response.json() == {"type": "builtins.dict", "names": ["sessionid"]}


def test_last_visit_shows_previous_visit(client: Client) -> None:
    with time_machine.travel(NOW, tick=False):
        assert "first visit" in client.get("/reading/last-visit/").content.decode()
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        second = client.get("/reading/last-visit/").content.decode()
    assert second == "Your last visit was at 2026-03-01 12:00:00 UTC.\n"
    assert "13%3A00" in client.cookies["time"].value


def test_delete_cookie_sends_expired_cookie(client: Client) -> None:
    line = client.get("/reading/delete/").cookies["color"].OutputString()
    assert line == 'color=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/'


def test_delete_elsewhere_sends_path_and_domain(client: Client) -> None:
    cookie = client.get("/reading/delete-elsewhere/", {"domain": "example.com"}).cookies["color"]
    assert (cookie["path"], cookie["domain"], cookie["max-age"]) == (
        "/elsewhere/",
        "example.com",
        0,
    )


def read_signed(client: Client, **data: Any) -> tuple[int, str]:
    response = client.get("/signed/read/", data)
    return response.status_code, response.content.decode().strip()


def test_signed_cookie_is_read(client: Client) -> None:
    client.get("/signed/sign/", {"value": "你好:🍪"})
    assert read_signed(client) == (200, "color is 你好:🍪")


def test_signed_cookie_with_another_salt_is_refused(client: Client) -> None:
    client.get("/signed/sign/")
    status, message = read_signed(client, salt="another")
    assert status == 400
    assert message.startswith("BadSignature: Signature")


def test_expired_signed_cookie_is_refused(client: Client) -> None:
    with time_machine.travel(NOW, tick=False):
        client.get("/signed/sign/")
    with time_machine.travel(NOW + timedelta(seconds=61), tick=False):
        status, message = read_signed(client, max_age=60)
        assert status == 400
        assert message == "SignatureExpired: Signature age 61.0 > 60 seconds"
        assert read_signed(client, max_age=61)[0] == 200


@pytest.mark.parametrize("value", ["blue", "xylophone", "你好"])
def test_changed_signed_cookie_is_refused(value: str, client: Client) -> None:
    client.get("/signed/sign/", {"value": value})
    before = client.cookies["color"].value
    client.get("/signed/change/")
    after = client.cookies["color"].value
    assert after != before
    assert after[1:] == before[1:]
    assert read_signed(client)[1].startswith("BadSignature: Signature")


def test_missing_signed_cookie_is_reported(client: Client) -> None:
    assert read_signed(client)[1].startswith("KeyError")
    assert "no cookie" in client.get("/signed/change/").content.decode()


@pytest.mark.parametrize("value", ["blue", "blue" * 100], ids=["short", "compressed"])
def test_only_signed_cookie_can_be_read_without_a_secret(value: str, client: Client) -> None:
    response = client.get("/signed/beside-an-encrypted-cookie/", {"value": value})
    signed, encrypted = response.content.decode().splitlines()
    assert signed.startswith("signed_cookies, ")
    assert f'b\'{{"color":"{value}"}}\'' in signed
    assert encrypted.startswith("encrypted_cookies, ")
    assert "blue" not in encrypted
    assert not response.cookies


@pytest.mark.parametrize(
    ("name", "is_secure", "is_httponly"),
    [
        ("color", False, False),
        ("__Secure-color", True, False),
        ("__host-color", True, False),
        ("__Http-color", True, True),
        ("__Host-Http-color", True, True),
    ],
)
def test_cookie_with_prefix_is_read_and_deleted(
    name: str, is_secure: bool, is_httponly: bool, client: Client
) -> None:
    """A browser ignores a deletion that lacks what the prefix requires."""
    client.cookies[name] = "blue"
    for recipe in ("by-name", "with-a-default"):
        text = client.get(f"/reading/{recipe}/", {"name": name}).content.decode()
        assert text == f"{name} is blue\n"
    for recipe in ("delete", "delete-elsewhere"):
        cookie = client.get(f"/reading/{recipe}/", {"name": name}).cookies[name]
        assert (cookie.value, cookie["max-age"]) == ("", 0)
        assert (bool(cookie["secure"]), bool(cookie["httponly"])) == (is_secure, is_httponly)


def test_own_cookie_with_prefix_is_not_read(client: Client) -> None:
    assert client.get("/reading/by-name/", {"name": SECURE_LOGIN_COOKIE}).status_code == 400
