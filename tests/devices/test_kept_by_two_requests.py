"""A session is kept by two requests at once, each of which ends all others, on every profile."""

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


class UnderWay:
    """A request of that browser whose user is known, and that is not answered yet."""

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

    def reaches(self, client: Client) -> None:
        client.cookies.update(self.cookies)


def signs_out_all_others(request: HttpRequest) -> None:
    # Whose session has ended meanwhile signs out nobody.
    with suppress(SessionEndedError):
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
        requests[number].answer()
        requests[number].reaches(client)
    assert is_in(client)
    assert not is_in(elsewhere)
    assert row_of(client) == row == ada.signed_in_sessions.live().get()
    row_of(client).delete()
    assert not is_in(client)


# Each of two requests signs out all others, and is answered: the orders in which that can be, the
# first being the one that begins.
ORDERS = [(0, 0, 1, 1), (0, 1, 0, 1), (0, 1, 1, 0)]
IN_ORDERS = pytest.mark.parametrize(
    "order", ORDERS, ids=["".join(map(str, order)) for order in ORDERS]
)
# Which of the answers reach the browser, and in what order: it gives up the first click's request
# as it is clicked again.
LISTED_AT_MOST = {"in order": [0, 1], "the first is last": [1, 0], "one": [0], "the other": [1]}


def step_by_step(requests: Sequence[UnderWay], order: Sequence[int]) -> None:
    begun: set[int] = set()
    for number in order:
        if number in begun:
            requests[number].answer()
        else:
            signs_out_all_others(requests[number].request)
            begun.add(number)


@IN_ORDERS
@pytest.mark.parametrize("reach", LISTED_AT_MOST)
def test_a_double_click_keeps_the_device_whichever_answers_reach_it(
    reach: str, order: tuple[int, ...], profile: str, ada: User
) -> None:
    client, elsewhere = browser(ada), browser(ada)
    row = row_of(client)
    requests = UnderWay(client), UnderWay(client)
    step_by_step(requests, order)
    for number in LISTED_AT_MOST[reach]:
        requests[number].reaches(client)
    assert is_in(client)
    assert not is_in(elsewhere)
    assert row_of(client) == row == ada.signed_in_sessions.get()
    row_of(client).delete()
    for each in requests:
        each.reaches(client)
        assert not is_in(client)


@IN_ORDERS
def test_of_two_devices_that_sign_each_other_out_the_first_stays_in(
    order: tuple[int, ...], profile: str, ada: User
) -> None:
    clients = browser(ada), browser(ada)
    rows = [row_of(client) for client in clients]
    requests = [UnderWay(client) for client in clients]
    step_by_step(requests, order)
    for client, request in zip(clients, requests, strict=True):
        request.reaches(client)
    assert [is_in(client) for client in clients] == [True, False]
    assert ada.signed_in_sessions.get() == rows[0]


@pytest.mark.parametrize(
    "pair",
    [("db", "cache"), ("cache", "db"), ("db", "signed_cookies"), ("signed_cookies", "db")],
    ids=" to ".join,
)
@IN_ORDERS
@pytest.mark.parametrize("reach", ["one", "the other"])
def test_so_it_is_in_a_handover(
    reach: str,
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
    requests = UnderWay(client), UnderWay(client)
    step_by_step(requests, order)
    for number in LISTED_AT_MOST[reach]:
        requests[number].reaches(client)
    assert is_in(client)
    assert is_in(client)
    assert not is_in(elsewhere)
    assert row_of(client) == ada.signed_in_sessions.get()
