"""Who is at the site: somebody whose data nobody else may get, and whoever tries."""

from typing import Any, NamedTuple
from urllib.parse import urlencode

from demo.models import User

from .site import TOKEN, Look, Site

# What only the session of its owner holds.
CANARY = "canary-in-a-session-of-somebody-else"


def post(path: str, **fields: str) -> Look:
    return Look(path, "POST", body=urlencode(fields).encode())


class Person(NamedTuple):
    name: str
    # The value of the session cookie.
    key: str

    @property
    def cookie(self) -> bytes:
        return cookie_of(self.key)


def cookie_of(key: str) -> bytes:
    return f"csrftoken={TOKEN}; sessionid={key}".encode()


def signed_in(site: Site, name: str, color: str, **more: Any) -> Person:
    """By the form, and with that color in the session."""
    User.objects.create_user(name, password="cookies", **more)
    answer = site.ask(post("/auth/sign-in/", username=name, password="cookies"), cookie_of(""))
    person = Person(name, answer.cookie("sessionid"))
    answer = site.ask(post("/sessions/set-item/", key="color", value=color), person.cookie)
    return Person(name, answer.cookie("sessionid"))
