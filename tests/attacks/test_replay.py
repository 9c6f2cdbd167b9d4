"""A cookie is copied, its owner signs out, and the copy is sent again."""

from collections.abc import Callable

from django.core.management import call_command
from django.test import Client

from demo.constants import LOGIN_COOKIE
from demo.models import User
from tests.browsers import browser, is_in, key_of, row_of, signed_by_django
from tests.conftest import on
from tests.families import IN_COOKIES, SERVER_ENGINES
from tests.fault_table import Whose

from .conftest import Report, Send

NAME = "sessionid"
NEW_PASSWORDS = ("new_password1", "new_password2")

# A way to end a session. Its arguments are the browser with the session, another browser of the
# user, and the administrator's browser.
End = Callable[[Client, Client, Client], object]


def change_password(client: Client, other_browser: Client, admin: Client) -> None:
    form = {"old_password": "cookies"} | dict.fromkeys(NEW_PASSWORDS, "3 biscuits")
    assert other_browser.post("/admin/password_change/", form).status_code == 302


def reset_password(client: Client, other_browser: Client, admin: Client) -> None:
    user = User.objects.get(username="ada")
    user.set_password("3 biscuits")
    user.save()


def sign_out_by_session_list(client: Client, other_browser: Client, admin: Client) -> object:
    form = {"action": "delete_selected", "_selected_action": [row_of(client).pk], "post": "yes"}
    return admin.post("/admin/cookieproj_devices/signedinsession/", form)


def sign_out_by_user_list(client: Client, other_browser: Client, admin: Client) -> object:
    users = list(User.objects.filter(username="ada").values_list("pk", flat=True))
    form = {"action": "sign_out", "_selected_action": users}
    return admin.post("/admin/demo/user/", form)


ON_THIS_DEVICE: dict[str, End] = {
    "sign-out page": lambda client, other_browser, admin: client.post("/auth/sign-out/"),
    "admin sign-out": lambda client, other_browser, admin: client.post("/admin/logout/"),
    "flush": lambda client, other_browser, admin: client.post("/lifecycle/flush/"),
    "clear": lambda client, other_browser, admin: client.post("/lifecycle/clear/"),
    "this device": lambda client, other_browser, admin: client.post(
        f"/devices/{row_of(client).pk}/sign-out/"
    ),
    "sign-in as another user": lambda client, other_browser, admin: client.post(
        "/auth/sign-in/", {"username": "admin", "password": "cookies"}
    ),
}
ON_ANOTHER_DEVICE: dict[str, End] = {
    "one device": lambda client, other_browser, admin: other_browser.post(
        f"/devices/{row_of(client).pk}/sign-out/"
    ),
    "session list of the admin": sign_out_by_session_list,
}
EVERYWHERE: dict[str, End] = {
    "all others": lambda client, other_browser, admin: other_browser.post(
        "/devices/sign-out-others/"
    ),
    "user list of the admin": sign_out_by_user_list,
    "command": lambda client, other_browser, admin: call_command(
        "signout", "ada", stdout=NullOutput()
    ),
    "new password": change_password,
    "reset password": reset_password,
    "deactivated": lambda *browsers: User.objects.filter(username="ada").update(is_active=False),
    "deleted": lambda *browsers: User.objects.get(username="ada").delete(),
}


class NullOutput:
    def write(self, text: str) -> None:
        """Discard the output of a command."""


def copies(client: Client) -> list[str]:
    """Return the cookies from the sign-in on. Signed cookies change with each step."""
    cookies = [key_of(client)]
    for number in range(3):
        client.post("/sessions/set-item/", {"value": f"{number}"})
        client.post("/expiry/in-seconds/", {"seconds": "600"})
        cookies.append(key_of(client))
    return list(dict.fromkeys(cookies))


def is_valid(send: Send, cookie: str, path: str = "/auth/account/") -> bool:
    """Whether the cookie signs in, at once or after another use of it."""
    cookie = f"{NAME}={cookie}"
    pages = [send(path, cookie), send("/sessions/set-item/", cookie, "POST"), send(path, cookie)]
    return any(b"ada" in page.content for page in pages[::2] if page.status_code == 200)


def new_ada() -> User:
    """Create Ada as staff, so that she can change her password in the admin."""
    User.objects.filter(username="ada").delete()
    return User.objects.create_superuser("ada", password="cookies")


def replay(ends: dict[str, End], send: Send, admin: User) -> tuple[list[str], list[str]]:
    tries, succeeded = [], []
    admin_browser = browser(admin)
    for name, end in ends.items():
        ada = new_ada()
        client, other_browser = browser(ada), browser(ada)
        copied = copies(client)
        assert is_valid(send, copied[-1])
        end(client, other_browser, admin_browser)
        tries += [name] * len(copied)
        succeeded += [name for cookie in copied if is_valid(send, cookie)]
    return tries, succeeded


def row_name(what: str, profile: str) -> str:
    store = "signed_cookies" if profile in IN_COOKIES else "on the server"
    return f"Replay after {what}, {store}"


def test_copy_is_invalid_after_sign_out(
    profile: str, whose: Whose, admin: User, send: Send, report: Report
) -> None:
    tries, succeeded = replay(ON_THIS_DEVICE, send, admin)
    report(row_name("a sign-out", profile), tries, succeeded, whose)


@on("signed_cookies")
def test_cookie_older_than_registry_is_invalid(
    profile: str, admin: User, send: Send, report: Report
) -> None:
    """Django's engine signed the cookie before this site used ours. The registry has no row."""
    ends, succeeded = ON_THIS_DEVICE | ON_ANOTHER_DEVICE, []
    for name, end in ends.items():
        ada = new_ada()
        copied = signed_by_django(ada)
        client = browser()
        client.cookies[NAME] = copied
        assert is_in(client)
        assert is_valid(send, copied)
        end(client, browser(ada), browser(admin))
        succeeded += [name] if is_valid(send, copied) else []
    report("Replay after a sign-out, a cookie older than the registry", ends, succeeded)


def test_copy_is_invalid_after_sign_out_on_another_device(
    profile: str, whose: Whose, admin: User, send: Send, report: Report
) -> None:
    """Django's signed cookies do not support this, and the pages say so."""
    tries, succeeded = replay(ON_ANOTHER_DEVICE, send, admin)
    report(row_name("a sign-out on another device", profile), tries, succeeded, whose)


def test_copy_is_invalid_after_sign_out_everywhere_or_new_password(
    profile: str, whose: Whose, admin: User, send: Send, report: Report
) -> None:
    """The user's session hash ends the sessions, on Django's engines too."""
    tries, succeeded = replay(EVERYWHERE, send, admin)
    assert succeeded == []
    report(row_name("a sign-out everywhere", profile), tries, succeeded, whose)


@on(*SERVER_ENGINES)
def test_copy_is_invalid_after_sign_out_by_hand(
    whose: Whose, ada: User, send: Send, report: Report
) -> None:
    """Not on signed cookies: there a copy is valid until it expires."""
    client = Client()
    client.post("/auth/by-hand-sign-in/", {"username": "ada", "password": "cookies"})
    copied = copies(client)
    assert is_valid(send, copied[0], "/auth/by-hand/")
    client.post("/auth/by-hand-sign-out/")
    succeeded = [cookie for cookie in copied if is_valid(send, cookie, "/auth/by-hand/")]
    report("Replay after a sign-out by hand, on the server", copied, succeeded, whose)


def test_login_cookie_is_invalid_after_sign_out_everywhere(
    profile: str, admin: User, send: Send, report: Report
) -> None:
    """A sign-out on one device leaves copies of login_auth's cookie valid until they expire."""

    def is_accepted(cookie: str) -> bool:
        return send("/auth/cookie-account/", cookie).status_code == 200

    def is_accepted_after(end: End) -> bool:
        ada = new_ada()
        form = {"username": "ada", "password": "cookies"}
        response = Client().post("/auth/cookie-sign-in/", form)
        copied = f"{LOGIN_COOKIE}={response.cookies[LOGIN_COOKIE].value}"
        assert is_accepted(copied)
        end(browser(ada), browser(ada), browser(admin))
        return is_accepted(copied)

    succeeded = [name for name, end in EVERYWHERE.items() if is_accepted_after(end)]
    report("Replay of login_auth after a sign-out everywhere", EVERYWHERE, succeeded)
