"""What ends the session of somebody who is signed in, compared with what happens."""

from django.test import Client
from django.urls import reverse

from demo.models import User
from demo.store_durability import Fate
from tests.browsers import again, browser, is_in, key_of, row_of
from tests.conftest import on

DEVICE = "signing this device out on the page “Your devices”"
DELETION = "deleting the cookie in the browser"
NEW_PASSWORD_ELSEWHERE = "a new password that is set in another browser"
NEW_PASSWORD_HERE = "a new password that is set in this one: the session gets a new key"


def fates(client: Client) -> dict[str, Fate]:
    found = again(client).get("/recipes/sessions/set-item/").context["answers"]
    names = [event.what for event in found.events]
    assert len(names) == len(set(names))
    return {event.what: event.fate for event in found.events}


def test_signing_out_this_device(profile: str, ada: User) -> None:
    client, other = browser(ada), browser(ada)
    assert fates(client)[DEVICE] == Fate.ENDED
    other.post(reverse("cookieproj_devices:sign-out", args=[row_of(client).pk]))
    assert not is_in(again(client))
    assert is_in(again(other))


def test_deleting_the_cookie(profile: str, ada: User) -> None:
    client = browser(ada)
    assert fates(client)[DELETION] == Fate.ENDED
    del client.cookies["sessionid"]
    assert not is_in(client)


def test_visitor_has_no_device(profile: str, client: Client) -> None:
    client.post("/sessions/set-item/")
    found = fates(client)
    assert found[DELETION] == Fate.ENDED
    assert DEVICE not in found


def test_new_password_here_and_elsewhere(profile: str, ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
    here, elsewhere = browser(ada), browser(ada)
    expected, key = fates(here), key_of(here)
    new = "x7-chocolate-chip"
    form = {"password1": new, "password2": new, "usable_password": "true"}
    assert here.post(f"/admin/demo/user/{ada.pk}/password/", form).status_code == 302
    assert is_in(again(here))
    assert key_of(here) != key
    assert expected[NEW_PASSWORD_HERE] == Fate.KEPT
    assert not is_in(again(elsewhere))
    assert expected[NEW_PASSWORD_ELSEWHERE] == Fate.ENDED


@on("signed_cookies", "encrypted_cookies")
def test_sign_in_by_hand_lists_nothing_twice(profile: str, ada: User) -> None:
    client = browser()
    client.post("/auth/by-hand-sign-in/", {"username": "ada", "password": "cookies"})
    copies = [what for what in fates(client) if "copy of the cookie" in what]
    assert copies == ["signing out or flush(), for somebody who has a copy of the cookie"]
