"""A session that no request asks for is not created, and one that is asked for is a session."""

import copy
import pickle
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings

from cookieproj.engines import lazy_session
from cookieproj.engines.lazy_session import LazySession, is_lazy
from cookieproj.engines.signed_cookies import SessionStore
from tests.engines.test_session_response import request_with, stored

# The stubs type a session as a mapping.
Base: Any = SessionStore


class Session(Base):  # type: ignore[misc]
    """It says how often one was created, and has all that Python looks up on the class."""

    created = 0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        type(self).created += 1

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SessionBase) and self.session_key == other.session_key

    def __hash__(self) -> int:
        return 7

    def __contains__(self, key: str) -> bool:
        return key == "always" or bool(super().__contains__(key))

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "a session"

    def __str__(self) -> str:
        return "session"


@pytest.fixture(autouse=True)
def no_session_yet() -> None:
    Session.created = 0


@pytest.fixture
def request_with_lazy() -> HttpRequest:
    request = request_with(stored(a=1))
    request.session = LazySession(Session, request)  # type: ignore[assignment]
    return request


def test_question_whether_it_was_used_creates_none(request_with_lazy: HttpRequest) -> None:
    session = request_with_lazy.session
    assert (session.accessed, session.modified) == (False, False)
    assert is_lazy(request_with_lazy)
    assert Session.created == 0


def test_creation_replaces_it_on_the_request(request_with_lazy: HttpRequest) -> None:
    lazy: Any = request_with_lazy.session
    assert lazy["a"] == 1
    session = request_with_lazy.session
    assert type(session) is Session
    assert not is_lazy(request_with_lazy)
    assert (lazy.accessed, lazy.modified) == (True, False)
    session["a"] = 2
    assert lazy["a"] == 2
    assert lazy.modified
    assert Session.created == 1


def delete_item(session: Any) -> bool:
    del session["a"]
    return "a" not in session


def set_item(session: Any) -> bool:
    session["b"] = 2
    return bool(session["b"] == 2)


def set_attribute(session: Any) -> bool:
    session.modified = True
    return bool(session.modified)


def delete_attribute(session: Any) -> bool:
    session.anything = 1
    del session.anything
    return not hasattr(session, "anything")


OPERATIONS: list[Callable[[Any], bool]] = [
    delete_item,
    set_item,
    set_attribute,
    delete_attribute,
    lambda session: "a" in session and "always" in session,
    lambda session: list(session) == ["a"],
    lambda session: len(session) == 1,
    lambda session: not session,
    lambda session: session == SessionStore(session.session_key),
    lambda session: hash(session) == 7,
    lambda session: (repr(session), str(session)) == ("a session", "session"),
    lambda session: "cycle_key" in dir(session),
    lambda session: isinstance(session, Session),
    lambda session: copy.copy(session)["a"] == 1,
    lambda session: copy.deepcopy(session)["a"] == 1,
    lambda session: type(pickle.loads(pickle.dumps(session))) is Session,
    lambda session: session.get("a") == 1,
    lambda session: weakref.ref(session)() is session,
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_behaves_as_the_session(
    request_with_lazy: HttpRequest, operation: Callable[[Any], bool]
) -> None:
    assert operation(request_with_lazy.session)
    assert Session.created >= 1 or operation is OPERATIONS[-1]


def test_it_is_true_as_the_session() -> None:
    request = request_with(stored(a=1))
    assert LazySession(SessionStore, request)


def test_it_opens_the_cookie_after_its_request_is_gone() -> None:
    request = HttpRequest()
    request.META["HTTP_COOKIE"] = f"sessionid={stored(a=1)}"
    lazy: Any = LazySession(Session, request)
    reference = weakref.ref(request)
    del request
    assert reference() is None
    assert lazy["a"] == 1


def plain(request: HttpRequest) -> HttpResponse:
    assert (request.session.accessed, request.session.modified) == (False, False)
    return HttpResponse()


urlpatterns = [path("plain/", plain)]


def test_no_middleware_of_the_site_creates_a_session(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of the project's middleware asks for a session that the view does not use."""
    settings.ROOT_URLCONF = __name__
    settings.SESSION_ENGINE = "cookieproj.engines.signed_cookies"
    created: list[Any] = []
    monkeypatch.setattr(
        lazy_session, "create_session", lambda *arguments: created.append(arguments)
    )
    assert "cookieproj.devices.middleware.DevicesMiddleware" in django_settings.MIDDLEWARE
    client = Client()
    client.cookies["sessionid"] = stored(a=1)
    response = client.get("/plain/")
    assert response.status_code == 200
    assert not created
