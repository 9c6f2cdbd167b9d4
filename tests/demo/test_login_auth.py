"""login_auth: which cookies it accepts, and where it redirects requests without one."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import time_machine
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, Client, RequestFactory
from django.utils.decorators import method_decorator
from django.views import View

from demo.constants import LOGIN_COOKIE, SECURE_LOGIN_COOKIE
from demo.login_auth import login_auth, set_login_cookie
from demo.models import User

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@login_auth
def bare(request: HttpRequest, word: str = "in") -> HttpResponse:
    return HttpResponse(word)


@login_auth(login_url="/door/", max_age=60)
def with_arguments(request: HttpRequest) -> HttpResponse:
    return HttpResponse("in")


@login_auth
async def async_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.cookie_user.username)  # type: ignore[attr-defined]


@method_decorator(login_auth, name="dispatch")
class DecoratedClass(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("in")


class DecoratedMethod(View):
    @method_decorator(login_auth)
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("in")


def cookie_of(user: User) -> str:
    response = HttpResponse()
    set_login_cookie(response, user, secure=False)
    return response.cookies[LOGIN_COOKIE].value


def request_with(cookie: str | None, factory: Any = RequestFactory) -> Any:
    result = factory().get("/secret/?page=2&x=%C3%A4")
    result.user = AnonymousUser()
    if cookie is not None:
        result.COOKIES[LOGIN_COOKIE] = cookie
    return result


def is_accepted(response: HttpResponse) -> bool:
    return response.status_code == 200


@pytest.mark.parametrize("view", [bare, with_arguments, DecoratedClass.as_view()])
def test_valid_cookie_is_accepted(view: Any, ada: User) -> None:
    assert is_accepted(view(request_with(cookie_of(ada))))


@pytest.mark.parametrize(
    ("view", "login_url"),
    [
        (bare, "/auth/cookie-sign-in/"),
        (with_arguments, "/door/"),
        (DecoratedClass.as_view(), "/auth/cookie-sign-in/"),
    ],
)
def test_request_without_cookie_redirects_to_sign_in(view: Any, login_url: str, db: None) -> None:
    response = view(request_with(None))
    assert response.status_code == 302
    assert response.url == f"{login_url}?next=/secret/%3Fpage%3D2%26x%3D%25C3%25A4"
    assert response.headers["Vary"] == "Cookie"


@pytest.mark.parametrize(
    "forged",
    ["", "1", "admin", "1:2:3", "::", "1.x:1wAbCd:" + "a" * 43, "x" * 10_000, "\x00"],
)
def test_forged_cookie_is_refused(forged: str, ada: User) -> None:
    assert not is_accepted(bare(request_with(forged)))


def test_cookie_changed_at_any_position_is_refused(ada: User) -> None:
    cookie = cookie_of(ada)
    for position in range(len(cookie)):
        replacement = "1" if cookie[position] == "0" else "0"
        changed = cookie[:position] + replacement + cookie[position + 1 :]
        # The last character of base64 carries two bits that nothing reads.
        if position < len(cookie) - 1:
            assert not is_accepted(bare(request_with(changed))), position


def test_cookie_signed_with_another_salt_is_refused(ada: User) -> None:
    response = HttpResponse()
    response.set_signed_cookie(LOGIN_COOKIE, cookie_of(ada).partition(":")[0], salt="recipe")
    assert not is_accepted(bare(request_with(response.cookies[LOGIN_COOKIE].value)))


def test_cookie_expires(ada: User) -> None:
    with time_machine.travel(NOW, tick=False):
        cookie = cookie_of(ada)
    with time_machine.travel(NOW + timedelta(seconds=60), tick=False):
        assert is_accepted(with_arguments(request_with(cookie)))
    with time_machine.travel(NOW + timedelta(seconds=61), tick=False):
        assert not is_accepted(with_arguments(request_with(cookie)))
        assert is_accepted(bare(request_with(cookie)))
    with time_machine.travel(NOW + timedelta(days=14, seconds=1), tick=False):
        assert not is_accepted(bare(request_with(cookie)))


def test_new_password_ends_cookie(ada: User) -> None:
    cookie = cookie_of(ada)
    ada.set_password("another")
    ada.save()
    assert not is_accepted(bare(request_with(cookie)))


def test_cookie_of_inactive_or_deleted_user_is_refused(ada: User) -> None:
    cookie = cookie_of(ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert not is_accepted(bare(request_with(cookie)))
    ada.delete()
    assert not is_accepted(bare(request_with(cookie)))


def test_proof_of_another_user_is_refused(ada: User, admin: User) -> None:
    proof = cookie_of(ada).partition(":")[0].partition(".")[2]
    response = HttpResponse()
    response.set_signed_cookie(LOGIN_COOKIE, f"{admin.pk}.{proof}", salt="demo.login_auth")
    assert not is_accepted(bare(request_with(response.cookies[LOGIN_COOKIE].value)))


def test_decorator_keeps_name_and_arguments(ada: User) -> None:
    assert bare.__name__ == "bare"
    assert bare(request_with(cookie_of(ada)), word="kept").content == b"kept"


def test_valid_cookie_costs_one_query_and_forged_none(
    ada: User, django_assert_num_queries: Any
) -> None:
    cookie = cookie_of(ada)
    with django_assert_num_queries(1):
        bare(request_with(cookie))
    with django_assert_num_queries(0):
        bare(request_with("forged"))


def test_async_view_is_protected(ada: User) -> None:
    assert iscoroutinefunction(async_view)
    view = async_to_sync(async_view)
    assert view(request_with(cookie_of(ada), AsyncRequestFactory)).content == b"ada"
    assert not is_accepted(view(request_with(None, AsyncRequestFactory)))


def test_async_method_is_protected(ada: User) -> None:
    view: Any = async_to_sync(cast("Any", DecoratedMethod.as_view()))
    assert is_accepted(view(request_with(cookie_of(ada), AsyncRequestFactory)))
    assert not is_accepted(view(request_with(None, AsyncRequestFactory)))


def test_cookie_attributes(client: Client, ada: User) -> None:
    response = client.post(
        "/auth/cookie-sign-in/", {"username": "ada", "password": "cookies"}, secure=True
    )
    cookie = response.cookies[SECURE_LOGIN_COOKIE]
    assert cookie["httponly"]
    assert cookie["secure"]
    assert (cookie["samesite"], cookie["max-age"]) == ("Lax", 14 * 86400)


def test_signing_recipe_cannot_forge_cookie(client: Client, ada: User) -> None:
    """A name and a salt that join to the same text as those of login_auth sign differently."""
    claim = cookie_of(ada).partition(":")[0]
    query = {"name": "login_aut", "salt": "hdemo.login_auth", "value": claim}
    signed = client.get("/signed/sign/", query).cookies["login_aut"].value
    assert signed.startswith(claim)
    assert not is_accepted(bare(request_with(signed)))
