"""Two requests of a session at once, each of which ends all other sessions, on every profile."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import permutations
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user, update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from cookieproj.devices.middleware import DevicesMiddleware
from cookieproj.devices.signing_out import sign_out_everywhere
from cookieproj.engines.exceptions import SessionEndedError
from cookieproj.engines.middleware import SessionMiddleware
from demo.models import User
from tests.browsers import again, browser, is_in, key_of, row_of
from tests.engines.handover_switch import Switch

NAME = django_settings.SESSION_COOKIE_NAME


class OpenRequest:
    """A request of a browser that has read its user and is not answered yet."""

    def __init__(self, client: Client) -> None:
        self.request: Any = RequestFactory().post("/")
        self.request.COOKIES[NAME] = key_of(client)
        self.middleware: Any = SessionMiddleware(DevicesMiddleware(lambda _: HttpResponse()))
        self.middleware.process_request(self.request)
        self.request.user = get_user(self.request)
        assert self.request.user.is_authenticated

    def answer(self) -> None:
        response = self.middleware.get_response(self.request)
        self.cookies = self.middleware.process_response(self.request, response).cookies

    def deliver_to(self, client: Client) -> None:
        client.cookies.update(self.cookies)


def sign_out_others(request: HttpRequest) -> None:
    # A request whose session has ended meanwhile signs out nobody.
    with suppress(SessionEndedError):
        sign_out_everywhere(User.objects.get(), by=User.objects.get(), keep=request)


def change_password(request: HttpRequest) -> None:
    user: Any = request.user
    user.set_password("cookies")
    user.save()
    update_session_auth_hash(request, user)


Action = Callable[[HttpRequest], None]
ACTIONS: list[Action] = [sign_out_others, change_password]


@pytest.mark.parametrize("order", list(permutations([0, 1])), ids=["in order", "reversed"])
@pytest.mark.parametrize("second", ACTIONS)
@pytest.mark.parametrize("first", ACTIONS)
def test_device_stays_signed_in_in_any_order_of_responses(
    first: Action, second: Action, order: tuple[int, int], profile: str, ada: User
) -> None:
    client, elsewhere = browser(ada), browser(ada)
    requests = OpenRequest(client), OpenRequest(client)
    row = row_of(client)
    for act, open_request in zip((first, second), requests, strict=True):
        act(open_request.request)
    for number in order:
        requests[number].answer()
        requests[number].deliver_to(client)
    assert is_in(client)
    assert not is_in(elsewhere)
    assert row_of(client) == row == ada.signed_in_sessions.live().get()
    row_of(client).delete()
    assert not is_in(client)


# Each of two requests signs out all others, and is then answered. These are the possible orders.
# The first request to start is number 0.
ORDERS = [(0, 0, 1, 1), (0, 1, 0, 1), (0, 1, 1, 0)]
IN_ORDERS = pytest.mark.parametrize(
    "order", ORDERS, ids=["".join(map(str, order)) for order in ORDERS]
)
# The responses that the browser receives, in order: at a second click it gives up the request of
# the first.
DELIVERIES = {"in order": [0, 1], "reversed": [1, 0], "only first": [0], "only second": [1]}


def interleave(requests: Sequence[OpenRequest], order: Sequence[int]) -> None:
    started: set[int] = set()
    for number in order:
        if number in started:
            requests[number].answer()
        else:
            sign_out_others(requests[number].request)
            started.add(number)


@IN_ORDERS
@pytest.mark.parametrize("delivery", DELIVERIES)
def test_double_click_keeps_the_device_whichever_responses_are_received(
    delivery: str, order: tuple[int, ...], profile: str, ada: User
) -> None:
    client, elsewhere = browser(ada), browser(ada)
    row = row_of(client)
    requests = OpenRequest(client), OpenRequest(client)
    interleave(requests, order)
    for number in DELIVERIES[delivery]:
        requests[number].deliver_to(client)
    assert is_in(client)
    assert not is_in(elsewhere)
    assert row_of(client) == row == ada.signed_in_sessions.get()
    row_of(client).delete()
    for each in requests:
        each.deliver_to(client)
        assert not is_in(client)


@IN_ORDERS
def test_first_of_two_devices_that_sign_each_other_out_stays_signed_in(
    order: tuple[int, ...], profile: str, ada: User
) -> None:
    clients = browser(ada), browser(ada)
    rows = [row_of(client) for client in clients]
    requests = [OpenRequest(client) for client in clients]
    interleave(requests, order)
    for client, request in zip(clients, requests, strict=True):
        request.deliver_to(client)
    assert [is_in(client) for client in clients] == [True, False]
    assert ada.signed_in_sessions.get() == rows[0]


@pytest.mark.parametrize(
    "pair",
    [("db", "cache"), ("cache", "db"), ("db", "signed_cookies"), ("signed_cookies", "db")],
    ids=" to ".join,
)
@IN_ORDERS
@pytest.mark.parametrize("delivery", ["only first", "only second"])
def test_double_click_during_handover_keeps_the_device(
    delivery: str,
    order: tuple[int, ...],
    pair: tuple[str, str],
    settings: Settings,
    empty_stores: None,
    ada: User,
) -> None:
    switch = Switch(*pair, settings)
    client, elsewhere = browser(ada), browser(ada)
    switch.make()
    client, elsewhere = again(client), again(elsewhere)
    requests = OpenRequest(client), OpenRequest(client)
    interleave(requests, order)
    for number in DELIVERIES[delivery]:
        requests[number].deliver_to(client)
    assert is_in(client)
    assert is_in(client)
    assert not is_in(elsewhere)
    assert row_of(client) == ada.signed_in_sessions.get()
