"""Headers that are made once equal those that Django makes for each response."""

import pytest
import time_machine
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.views.decorators.cache import never_cache as never_cache_of_django
from pytest_django import Settings

from demo.never_cache import never_cache

POLICY = "Content-Security-Policy"


@pytest.mark.parametrize(
    "own_headers",
    [
        {},
        {"Cache-Control": "max-age=60"},
        {"Cache-Control": "public, no-transform"},
        {"Expires": "Thu, 01 Jan 1970 00:00:00 GMT"},
    ],
)
@time_machine.travel("2030-01-01T12:00:00Z", tick=False)
def test_never_cache_sets_the_headers_of_django(own_headers: dict[str, str]) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers=own_headers)

    request = RequestFactory().get("/")
    assert never_cache(view)(request).headers == never_cache_of_django(view)(request).headers


@pytest.mark.parametrize("debug", [True, False])
def test_policy_is_on_all_pages_but_the_debug_ones(settings: Settings, debug: bool) -> None:
    settings.DEBUG = debug
    client = Client()
    response = client.get("/sessions/get-item/", secure=True)
    assert response.headers[POLICY] == settings.CONTENT_SECURITY_POLICY
    missing = client.get("/nowhere/", secure=True)
    assert missing.status_code == 404
    assert (POLICY in missing.headers) != debug
