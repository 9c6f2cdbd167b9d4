"""login_auth: who is let through, who is not, and where those go."""

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
async def not_blocking(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.cookie_user.username)  # type: ignore[attr-defined]


@method_decorator(login_auth, name="dispatch")
class Whole(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("in")


class OneMethod(View):
    @method_decorator(login_auth)
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("in")


def cookie_of(user: User) -> str:
    response = HttpResponse()
    set_login_cookie(response, user, secure=False)
    return response.cookies[LOGIN_COOKIE].value


def request(cookie: str | None, factory: Any = RequestFactory) -> Any:
    made = factory().get("/secret/?page=2&x=%C3%A4")
    made.user = AnonymousUser()
    if cookie is not None:
        made.COOKIES[LOGIN_COOKIE] = cookie
    return made


def is_let_in(response: HttpResponse) -> bool:
    return response.status_code == 200


@pytest.mark.parametrize("view", [bare, with_arguments, Whole.as_view()])
def test_a_valid_cookie_is_let_in(view: Any, ada: User) -> None:
    assert is_let_in(view(request(cookie_of(ada))))


@pytest.mark.parametrize(
    ("view", "login_url"),
    [
        (bare, "/auth/cookie-sign-in/"),
        (with_arguments, "/door/"),
        (Whole.as_view(), "/auth/cookie-sign-in/"),
    ],
)
def test_everybody_else_is_asked_to_sign_in(view: Any, login_url: str, db: None) -> None:
    response = view(request(None))
    assert response.status_code == 302
    assert response.url == f"{login_url}?next=/secret/%3Fpage%3D2%26x%3D%25C3%25A4"
    assert response.headers["Vary"] == "Cookie"


@pytest.mark.parametrize(
    "forged",
    ["", "1", "admin", "1:2:3", "::", "1.x:1wAbCd:" + "a" * 43, "x" * 10_000, "\x00"],
)
def test_a_cookie_of_somebodys_own_making_is_not(forged: str, ada: User) -> None:
    assert not is_let_in(bare(request(forged)))


def test_a_cookie_changed_in_any_one_place_is_not(ada: User) -> None:
    cookie = cookie_of(ada)
    for place in range(len(cookie)):
        other = "1" if cookie[place] == "0" else "0"
        changed = cookie[:place] + other + cookie[place + 1 :]
        # The last character of base64 carries two bits that nothing reads.
        if place < len(cookie) - 1:
            assert not is_let_in(bare(request(changed))), place


def test_a_cookie_signed_for_another_purpose_is_not(ada: User) -> None:
    response = HttpResponse()
    response.set_signed_cookie(LOGIN_COOKIE, cookie_of(ada).partition(":")[0], salt="recipe")
    assert not is_let_in(bare(request(response.cookies[LOGIN_COOKIE].value)))


def test_it_ends_by_age(ada: User) -> None:
    with time_machine.travel(NOW, tick=False):
        cookie = cookie_of(ada)
    with time_machine.travel(NOW + timedelta(seconds=60), tick=False):
        assert is_let_in(with_arguments(request(cookie)))
    with time_machine.travel(NOW + timedelta(seconds=61), tick=False):
        assert not is_let_in(with_arguments(request(cookie)))
        assert is_let_in(bare(request(cookie)))
    with time_machine.travel(NOW + timedelta(days=14, seconds=1), tick=False):
        assert not is_let_in(bare(request(cookie)))


def test_it_ends_with_the_password(ada: User) -> None:
    cookie = cookie_of(ada)
    ada.set_password("another")
    ada.save()
    assert not is_let_in(bare(request(cookie)))


def test_it_ends_when_the_user_is_deactivated_or_deleted(ada: User) -> None:
    cookie = cookie_of(ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert not is_let_in(bare(request(cookie)))
    ada.delete()
    assert not is_let_in(bare(request(cookie)))


def test_one_users_proof_does_not_serve_another(ada: User, admin: User) -> None:
    proof = cookie_of(ada).partition(":")[0].partition(".")[2]
    response = HttpResponse()
    response.set_signed_cookie(LOGIN_COOKIE, f"{admin.pk}.{proof}", salt="demo.login_auth")
    assert not is_let_in(bare(request(response.cookies[LOGIN_COOKIE].value)))


def test_it_keeps_name_and_arguments(ada: User) -> None:
    assert bare.__name__ == "bare"
    assert bare(request(cookie_of(ada)), word="kept").content == b"kept"


def test_it_asks_the_database_once(ada: User, django_assert_num_queries: Any) -> None:
    cookie = cookie_of(ada)
    with django_assert_num_queries(1):
        bare(request(cookie))
    with django_assert_num_queries(0):
        bare(request("forged"))


def test_on_an_async_view(ada: User) -> None:
    assert iscoroutinefunction(not_blocking)
    view = async_to_sync(not_blocking)
    assert view(request(cookie_of(ada), AsyncRequestFactory)).content == b"ada"
    assert not is_let_in(view(request(None, AsyncRequestFactory)))


def test_on_one_async_method(ada: User) -> None:
    view: Any = async_to_sync(cast("Any", OneMethod.as_view()))
    assert is_let_in(view(request(cookie_of(ada), AsyncRequestFactory)))
    assert not is_let_in(view(request(None, AsyncRequestFactory)))


def test_the_cookie_is_hidden_from_scripts_and_other_sites(client: Client, ada: User) -> None:
    response = client.post(
        "/auth/cookie-sign-in/", {"username": "ada", "password": "cookies"}, secure=True
    )
    cookie = response.cookies[SECURE_LOGIN_COOKIE]
    assert cookie["httponly"]
    assert cookie["secure"]
    assert (cookie["samesite"], cookie["max-age"]) == ("Lax", 14 * 86400)


def test_the_recipe_that_signs_is_no_way_to_sign_in(client: Client, ada: User) -> None:
    """Name and salt that together read as those of login_auth make another signature."""
    claim = cookie_of(ada).partition(":")[0]
    query = {"name": "login_aut", "salt": "hdemo.login_auth", "value": claim}
    signed = client.get("/signed/sign/", query).cookies["login_aut"].value
    assert signed.startswith(claim)
    assert not is_let_in(bare(request(signed)))
