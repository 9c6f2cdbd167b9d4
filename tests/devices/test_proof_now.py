"""``proof_now``: a view that asks the device for a proof at this moment."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from pytest_django import Settings

from cookieproj.devices.bound.admission import GRACE
from cookieproj.devices.bound.decorators import MAX_ATTEMPTS, PROOF_AGE, proof_now
from cookieproj.devices.bound.demands import DEMAND_COOKIES, demand_cookie_names
from demo.models import User
from tests.conftest import on
from tests.families import COOKIE_ENGINES

from .bound_device import Device

pytestmark = [pytest.mark.urls(__name__), pytest.mark.usefixtures("bound")]


def pay(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"paid {request.POST.get('amount', '')}")


async def pay_async(request: HttpRequest) -> HttpResponse:
    return pay(request)


urlpatterns = [
    path("pay/", csrf_exempt(proof_now(pay))),
    path("pay-async/", csrf_exempt(proof_now(pay_async))),
    path("close/", csrf_exempt(proof_now(pay))),
    path("close-async/", csrf_exempt(proof_now(pay_async))),
    path("", include("cookieproj.urls")),
]


def test_view_runs_after_a_proof_and_gets_the_post(device: Device) -> None:
    response = device.post("/pay/", {"amount": "5"})
    assert (response.status_code, response.headers["Location"]) == (307, "/pay/")
    assert not device.has_bound_cookie
    assert device.renew().status_code == 200
    response = device.post("/pay/", {"amount": "5"})
    assert (response.status_code, response.content) == (200, b"paid 5")


def test_each_proof_admits_one_request(device: Device) -> None:
    device.post("/pay/")
    device.renew()
    thief = device.thief()
    assert device.post("/pay/").status_code == 200
    for sender in (device, thief):
        assert sender.post("/pay/").status_code == 307


# A request, and another one that its proof is not for.
OTHERS = [
    (("post", "/pay/"), ("post", "/close/")),
    (("post", "/pay/"), ("post", "/close-async/")),
    (("post", "/pay-async/"), ("post", "/close/")),
    (("get", "/pay/"), ("post", "/pay/")),
    (("get", "/pay/?to=bob"), ("get", "/pay/?to=eve")),
]


@pytest.mark.parametrize(("asked", "other"), OTHERS)
def test_proof_is_for_one_request(
    asked: tuple[str, str], other: tuple[str, str], device: Device
) -> None:
    send(device, asked)
    device.renew()
    assert send(device.thief(), other) == 307
    assert send(device, asked) == 200
    assert send(device, other) == 307
    device.renew()
    assert send(device, other) == 200


def send(device: Device, sent: tuple[str, str]) -> int:
    method, path = sent
    response: HttpResponse = getattr(device, method)(path)
    return response.status_code


def test_one_renewal_is_for_all_tabs(device: Device) -> None:
    paths = ["/pay/", "/pay-async/", "/close-async/"]
    assert send_together(device, paths) == paths
    device.renew()
    assert send_together(device, paths) == []


def test_tab_whose_demand_has_been_replaced_is_let_in_after_another(device: Device) -> None:
    """The demands of these two are in the same slot."""
    paths = ["/pay/", "/close/"]
    assert send_together(device, paths) == paths
    device.renew()
    assert send_together(device, paths) == ["/pay/"]
    device.renew()
    assert send_together(device, ["/pay/"]) == []


def test_two_tabs_with_the_same_page_take_two_proofs(device: Device) -> None:
    assert send_together(device, ["/pay/"] * 2) == ["/pay/"] * 2
    device.renew()
    assert send_together(device, ["/pay/"] * 2) == ["/pay/"]
    device.renew()
    assert send_together(device, ["/pay/"]) == []


def test_number_of_cookies_is_bounded(device: Device) -> None:
    send_together(device, [f"/pay/?number={number}" for number in range(50)])
    names = [name for name in device.client.cookies if "proof_demanded" in name]
    assert len(names) == len(DEMAND_COOKIES)
    device.renew()
    assert not any("proof_demanded" in name for name in device.client.cookies)


def send_together(device: Device, paths: list[str]) -> list[str]:
    """Send the requests with the same cookies, and return the paths that want a proof."""
    tabs = [(path, device.thief()) for path in paths]
    responses = [(path, tab.post(path)) for path, tab in tabs]
    for _path, response in responses:
        device.receive(response)
    return [path for path, response in responses if response.status_code == 307]


def test_copied_cookies_are_refused_at_once(device: Device) -> None:
    thief = device.thief()
    assert thief.is_in
    stolen = thief.client.cookies["__Host-bound_session"].value
    for _attempt in range(MAX_ATTEMPTS):
        assert thief.post("/pay/").status_code == 307
        thief.client.cookies["__Host-bound_session"] = stolen
    response = thief.post("/pay/")
    assert response.status_code == 403
    assert b"paid" not in response.content
    assert device.is_in


def test_ordinary_renewal_is_no_proof_for_the_view(device: Device) -> None:
    assert device.forget_bound_cookie().renew().status_code == 200
    assert device.post("/pay/").status_code == 307


def test_renewal_that_was_on_its_way_is_followed_by_another(device: Device) -> None:
    """Its response comes after the demand, and sets a cookie that is no proof for the view."""
    device.post("/pay/")
    demands = take_demands(device)
    assert device.renew().status_code == 200
    device.client.cookies.update(demands)
    assert device.post("/pay/").status_code == 307
    device.renew()
    assert device.post("/pay/").status_code == 200


def test_demand_lets_a_cookie_stay_that_is_on_its_way(clock: Any, ada: User) -> None:
    """Chromium does not wait with a request while it renews in the background."""
    device = Device().bind(ada).forget_bound_cookie()
    response = device.post("/pay/")
    assert response.status_code == 307
    assert "__Host-bound_session" not in response.cookies


def test_proof_grows_old(device: Device, clock: Any) -> None:
    device.post("/pay/")
    device.renew()
    clock.shift(PROOF_AGE)
    assert device.post("/pay/").status_code == 307


def test_session_that_is_not_bound_is_admitted(clock: Any, ada: User) -> None:
    device = Device().sign_in(ada)
    assert device.post("/pay/").status_code == 200
    assert Device().post("/pay/").status_code == 200


@pytest.mark.django_db(transaction=True)
@on(*COOKIE_ENGINES)
@pytest.mark.parametrize("seconds", [GRACE + 1, 3 * 3600])
def test_copy_from_before_the_registration_is_refused(seconds: int, clock: Any, ada: User) -> None:
    device = Device().sign_in(ada)
    thief = device.thief_of_session()
    device.register()
    assert device.is_in
    clock.shift(seconds)
    assert thief.is_in
    assert thief.post("/pay/").status_code == 307
    device.forget_bound_cookie().renew("")
    device.renew()
    assert device.post("/pay/").status_code == 307
    device.renew()
    assert device.post("/pay/").status_code == 200


@on(*COOKIE_ENGINES)
def test_copy_from_before_the_offer_is_refused(ada: User, settings: Settings) -> None:
    settings.DEVICES_BOUND = None
    device = Device().sign_in(ada)
    thief = device.thief_of_session()
    settings.DEVICES_BOUND = "offer"
    device.get()
    assert thief.post("/pay/").status_code == 200
    device.register()
    assert device.is_in
    assert thief.post("/pay/").status_code == 403


def test_async_view(device: Device) -> None:
    assert device.post("/pay-async/").status_code == 307
    device.renew()
    assert device.post("/pay-async/", {"amount": "1"}).content == b"paid 1"
    client = AsyncClient()
    client.cookies = device.client.cookies
    post: Any = async_to_sync(client.post)
    assert post("/pay-async/", secure=True).status_code == 307


def test_browser_that_may_not_renew_gets_its_cookie_back(device: Device) -> None:
    """Chromium renews only so often: the rest of the site must not be lost with the page."""
    before = device.client.cookies["__Host-bound_session"].value
    assert device.post("/pay/").status_code == 307
    assert not device.has_bound_cookie
    response = device.post("/pay/", secure_session_skipped="quota_exceeded")
    assert response.status_code == 503
    assert (response.headers["Retry-After"], "in some minutes" in response.text) == ("300", True)
    assert device.client.cookies["__Host-bound_session"].value == before
    assert not take_demands(device)
    assert device.is_in


def take_demands(device: Device) -> Any:
    """Remove the cookies that ask for a proof, and return them."""
    names = [name for name in device.client.cookies if name in demand_cookie_names()]
    return {name: device.client.cookies.pop(name) for name in names}


def test_link_of_another_site_loads_the_page_again_first(device: Device) -> None:
    link = {"sec_fetch_mode": "navigate", "sec_fetch_site": "cross-site"}
    response = device.get("/pay/", **link)
    assert (response.status_code, response.headers["Refresh"]) == (200, "0")
    assert device.has_bound_cookie
    assert device.get("/pay/").status_code == 307
