"""The users: one whose data no other user may get, and one who tries to."""

from typing import Any, NamedTuple
from urllib.parse import urlencode

from demo.models import User

from .site import TOKEN, Request, Site

# Stored only in the session of its owner.
CANARY = "canary-in-a-session-of-somebody-else"


def post(path: str, **fields: str) -> Request:
    return Request(path, "POST", body=urlencode(fields).encode())


class Person(NamedTuple):
    name: str
    # The value of the session cookie.
    key: str

    @property
    def cookie(self) -> bytes:
        return cookie_of(self.key)


def cookie_of(key: str) -> bytes:
    return f"csrftoken={TOKEN}; sessionid={key}".encode()


def sign_up(site: Site, name: str, color: str, **more: Any) -> Person:
    """Create a user, sign them in by the form, and store that color in their session."""
    User.objects.create_user(name, password="cookies", **more)
    answer = site.send(post("/auth/sign-in/", username=name, password="cookies"), cookie_of(""))
    person = Person(name, answer.cookie("sessionid"))
    answer = site.send(post("/sessions/set-item/", key="color", value=color), person.cookie)
    return Person(name, answer.cookie("sessionid"))
