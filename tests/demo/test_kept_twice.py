"""A session is kept by two requests at once, each of which ends all others, on every profile."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user, update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from cookieproj.engines.middleware import SessionMiddleware
from demo.devices import sign_out_everywhere
from demo.middleware import FollowSignedInSessions
from demo.models import User

from .browsers import browser, is_in, key_of, row_of

NAME = django_settings.SESSION_COOKIE_NAME


class UnderWay:
    """A request of that browser whose user is known, and that is not answered yet."""

    def __init__(self, client: Client) -> None:
        self.request: Any = RequestFactory().post("/")
        self.request.COOKIES[NAME] = key_of(client)
        self.middleware: Any = SessionMiddleware(FollowSignedInSessions(lambda _: HttpResponse()))
        self.middleware.process_request(self.request)
        self.request.user = get_user(self.request)
        assert self.request.user.is_authenticated

    def answer(self, client: Client) -> None:
        response = self.middleware.get_response(self.request)
        client.cookies.update(self.middleware.process_response(self.request, response).cookies)


def signs_out_all_others(request: HttpRequest) -> None:
    sign_out_everywhere(User.objects.get(), by=User.objects.get(), keep=request)


def sets_a_new_password(request: HttpRequest) -> None:
    user: Any = request.user
    user.set_password("cookies")
    user.save()
    update_session_auth_hash(request, user)


Keep = Callable[[HttpRequest], None]
KEEPS: list[Keep] = [signs_out_all_others, sets_a_new_password]


@pytest.mark.parametrize("order", list(permutations([0, 1])), ids=["in order", "the first is last"])
@pytest.mark.parametrize("other", KEEPS)
@pytest.mark.parametrize("one", KEEPS)
def test_whichever_is_answered_last_it_goes_on(
    one: Keep, other: Keep, order: tuple[int, int], profile: str, ada: User
) -> None:
    client, elsewhere = browser(ada), browser(ada)
    requests = UnderWay(client), UnderWay(client)
    row = row_of(client)
    for keep, under_way in zip((one, other), requests, strict=True):
        keep(under_way.request)
    for number in order:
        requests[number].answer(client)
    assert is_in(client)
    assert not is_in(elsewhere)
    assert row_of(client) == row == ada.signed_in_sessions.live().get()
    row_of(client).delete()
    assert not is_in(client)
