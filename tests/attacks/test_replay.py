"""A cookie is copied, its owner signs out, and the copy is sent."""

from collections.abc import Callable

from django.core.management import call_command
from django.test import Client

from demo.constants import LOGIN_COOKIE
from demo.models import User
from tests.browsers import browser, is_in, key_of, row_of, signed_by_django
from tests.conftest import on
from tests.families import IN_COOKIES
from tests.fault_table import Whose

from .conftest import Judged, Send

NAME = "sessionid"
NEW_PASSWORDS = ("new_password1", "new_password2")

# What the user, or somebody for the user, does to end a session: by the browser that has it,
# by another one of the user's, or by the administrator's.
End = Callable[[Client, Client, Client], object]


def changes_the_password(one: Client, other: Client, admin: Client) -> None:
    form = {"old_password": "cookies"} | dict.fromkeys(NEW_PASSWORDS, "3 biscuits")
    assert other.post("/admin/password_change/", form).status_code == 302


def resets_the_password(one: Client, other: Client, admin: Client) -> None:
    user = User.objects.get(username="ada")
    user.set_password("3 biscuits")
    user.save()


def by_the_list(one: Client, other: Client, admin: Client) -> object:
    form = {"action": "delete_selected", "_selected_action": [row_of(one).pk], "post": "yes"}
    return admin.post("/admin/cookieproj_devices/signedinsession/", form)


def by_the_users(one: Client, other: Client, admin: Client) -> object:
    users = list(User.objects.filter(username="ada").values_list("pk", flat=True))
    form = {"action": "sign_out", "_selected_action": users}
    return admin.post("/admin/demo/user/", form)


HERE: dict[str, End] = {
    "the page": lambda one, other, admin: one.post("/auth/sign-out/"),
    "the admin": lambda one, other, admin: one.post("/admin/logout/"),
    "flush": lambda one, other, admin: one.post("/lifecycle/flush/"),
    "clear": lambda one, other, admin: one.post("/lifecycle/clear/"),
    "this device": lambda one, other, admin: one.post(f"/devices/{row_of(one).pk}/sign-out/"),
    "another user": lambda one, other, admin: one.post(
        "/auth/sign-in/", {"username": "admin", "password": "cookies"}
    ),
}
ELSEWHERE: dict[str, End] = {
    "that device": lambda one, other, admin: other.post(f"/devices/{row_of(one).pk}/sign-out/"),
    "the list": by_the_list,
}
EVERYWHERE: dict[str, End] = {
    "all others": lambda one, other, admin: other.post("/devices/sign-out-others/"),
    "the users": by_the_users,
    "the command": lambda one, other, admin: call_command("signout", "ada", stdout=Silent()),
    "another password": changes_the_password,
    "a reset password": resets_the_password,
    "deactivated": lambda *browsers: User.objects.filter(username="ada").update(is_active=False),
    "deleted": lambda *browsers: User.objects.get(username="ada").delete(),
}


class Silent:
    def write(self, text: str) -> None:
        """A command's output."""


def copies(client: Client) -> list[str]:
    """The cookies of each step from the sign-in on: signed cookies are another each time."""
    found = [key_of(client)]
    for number in range(3):
        client.post("/sessions/set-item/", {"value": f"{number}"})
        client.post("/expiry/in-seconds/", {"seconds": "600"})
        found.append(key_of(client))
    return list(dict.fromkeys(found))


def opens(send: Send, cookie: str, path: str = "/auth/account/") -> bool:
    """At once, or after it was used for something else."""
    cookie = f"{NAME}={cookie}"
    pages = [send(path, cookie), send("/sessions/set-item/", cookie, "POST"), send(path, cookie)]
    return any(b"ada" in page.content for page in pages[::2] if page.status_code == 200)


def new_ada() -> User:
    """Staff, so that she changes her password by the admin's page."""
    User.objects.filter(username="ada").delete()
    return User.objects.create_superuser("ada", password="cookies")


def replays(ends: dict[str, End], send: Send, admin: User) -> tuple[list[str], list[str]]:
    tries, lost = [], []
    administrators = browser(admin)
    for name, end in ends.items():
        ada = new_ada()
        one, other = browser(ada), browser(ada)
        copied = copies(one)
        assert opens(send, copied[-1])
        end(one, other, administrators)
        tries += [name] * len(copied)
        lost += [name for cookie in copied if opens(send, cookie)]
    return tries, lost


def row_name(what: str, profile: str) -> str:
    where = "signed_cookies" if profile in IN_COOKIES else "on the server"
    return f"Replay after {what}, {where}"


def test_after_a_sign_out(
    profile: str, whose: Whose, admin: User, send: Send, judged: Judged
) -> None:
    tries, lost = replays(HERE, send, admin)
    judged(row_name("a sign-out", profile), tries, lost, whose)


@on("signed_cookies")
def test_of_a_cookie_from_before_the_index(
    profile: str, admin: User, send: Send, judged: Judged
) -> None:
    """One that Django's engine signed while this site ran on it; it names no row of the index."""
    ends, lost = HERE | ELSEWHERE, []
    for name, end in ends.items():
        ada = new_ada()
        copied = signed_by_django(ada)
        one = browser()
        one.cookies[NAME] = copied
        assert is_in(one)
        assert opens(send, copied)
        end(one, browser(ada), browser(admin))
        lost += [name] if opens(send, copied) else []
    judged("Replay after a sign-out, a cookie from before the index", ends, lost)


def test_after_a_sign_out_from_elsewhere(
    profile: str, whose: Whose, admin: User, send: Send, judged: Judged
) -> None:
    """Django's signed cookies cannot do that at all, and the pages say so."""
    tries, lost = replays(ELSEWHERE, send, admin)
    judged(row_name("a sign-out from elsewhere", profile), tries, lost, whose)


def test_after_a_sign_out_everywhere_or_another_password(
    profile: str, whose: Whose, admin: User, send: Send, judged: Judged
) -> None:
    """By the user's session hash, which any engine leaves to Django: nobody's copies open it."""
    tries, lost = replays(EVERYWHERE, send, admin)
    assert lost == []
    judged(row_name("a sign-out everywhere", profile), tries, lost, whose)


@on("db", "cache", "file", "cached_db")
def test_after_a_sign_out_by_hand(whose: Whose, ada: User, send: Send, judged: Judged) -> None:
    """On signed cookies such a copy is good till it is too old: no server knows of it."""
    client = Client()
    client.post("/auth/by-hand-sign-in/", {"username": "ada", "password": "cookies"})
    copied = copies(client)
    assert opens(send, copied[0], "/auth/by-hand/")
    client.post("/auth/by-hand-sign-out/")
    lost = [cookie for cookie in copied if opens(send, cookie, "/auth/by-hand/")]
    judged("Replay after a sign-out by hand, on the server", copied, lost, whose)


def test_a_proof_after_a_sign_out_everywhere(
    profile: str, admin: User, send: Send, judged: Judged
) -> None:
    """The cookie of login_auth, which a mere sign-out leaves good till it is too old."""

    def is_let_in(cookie: str) -> bool:
        return send("/auth/cookie-account/", cookie).status_code == 200

    def opens_after(end: End) -> bool:
        ada = new_ada()
        form = {"username": "ada", "password": "cookies"}
        answer = Client().post("/auth/cookie-sign-in/", form)
        copied = f"{LOGIN_COOKIE}={answer.cookies[LOGIN_COOKIE].value}"
        assert is_let_in(copied)
        end(browser(ada), browser(ada), browser(admin))
        return is_let_in(copied)

    lost = [name for name, end in EVERYWHERE.items() if opens_after(end)]
    judged("Replay of login_auth after a sign-out everywhere", EVERYWHERE, lost)
