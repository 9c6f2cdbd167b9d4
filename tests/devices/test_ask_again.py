"""Views that ask signed-in users for their password again, in place, with the POST kept."""

import logging
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client
from django.urls import include, path
from django.utils import timezone
from django.views import View
from django.views.debug import ExceptionReporter
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from pytest_django import Settings

from cookieproj.devices.decorators import recently_authenticated
from cookieproj.devices.kept_post import KEPT_FIELD, PASSWORD_FIELD
from cookieproj.devices.view_mixins import RecentlyAuthenticatedMixin
from cookieproj.engines.compliance.site import asks_for_password, views
from cookieproj.engines.constants import AUTH_TIME
from demo.models import User
from tests.browsers import browser, is_in, key_of, row_of
from tests.conftest import on
from tests.families import IN_COOKIES

from .asking import answer, asks, inputs

pytestmark = [
    pytest.mark.urls(__name__),
    pytest.mark.django_db,
    pytest.mark.usefixtures("fresh_cache"),
]


def seen(request: HttpRequest) -> HttpResponse:
    """What the view finds in the request."""
    return JsonResponse(
        {
            "method": request.method,
            "query": request.GET.urlencode(),
            "post": list(request.POST.lists()),
            "files": [
                [name, [file.read().decode() for file in files]]
                for name, files in request.FILES.lists()
            ],
        }
    )


async def seen_async(request: HttpRequest) -> HttpResponse:
    return seen(request)


class SeenView(RecentlyAuthenticatedMixin, View):
    authenticated_within = 60

    def get(self, request: HttpRequest) -> HttpResponse:
        return seen(request)

    post = get


class SeenAsyncView(RecentlyAuthenticatedMixin, View):
    authenticated_within = 60

    async def get(self, request: HttpRequest) -> HttpResponse:
        return seen(request)

    async def post(self, request: HttpRequest) -> HttpResponse:
        return seen(request)


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError


guard = recently_authenticated(60)
urlpatterns = [
    path("sync/", guard(seen)),
    path("async/", guard(seen_async)),
    path("class/", SeenView.as_view()),
    path("async-class/", SeenAsyncView.as_view()),
    path("exempt/", csrf_exempt(guard(seen))),
    path("by-setting/", recently_authenticated()(seen)),
    path("broken/", sensitive_post_parameters("pin")(guard(broken))),
    path("", include("cookieproj.urls")),
]
VIEWS = ["/sync/", "/async/", "/class/", "/async-class/"]


@pytest.fixture
def client(ada: User) -> Client:
    return browser(ada)


@pytest.fixture
def later() -> Iterator[None]:
    """An hour after the sign-in."""
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        yield


@pytest.mark.parametrize("wrong", [lambda request: request, "30", 1.5, True])
def test_wrong_time_is_refused_at_once(wrong: Any) -> None:
    """Without parentheses too, which pass the view."""
    with pytest.raises(TypeError, match=r"@recently_authenticated\(\)"):
        recently_authenticated(wrong)


@pytest.mark.parametrize("url", VIEWS)
def test_view_runs_within_the_time(url: str, client: Client) -> None:
    assert client.get(url).json()["method"] == "GET"
    assert client.post(url, {"to": "eve"}).json()["post"] == [["to", ["eve"]]]


@pytest.mark.parametrize("url", VIEWS)
def test_post_is_kept_while_the_password_is_asked(url: str, client: Client, later: None) -> None:
    form = {"to": ["eve", "bob"], "text": 'one\r\ntwo\n"three" \0 <&>', "empty": "", "amount": "5"}
    page = client.post(f"{url}?next=//evil.example&x=1", form)
    assert asks(page)
    assert page.status_code == 403
    assert "no-store" in page.headers["Cache-Control"]
    result = answer(client, page).json()
    assert result["method"] == "POST"
    assert result["query"] == "next=%2F%2Fevil.example&x=1"
    assert result["post"] == [
        [name, value if isinstance(value, list) else [value]] for name, value in form.items()
    ]
    # The password counts from now on.
    assert not asks(client.post(url, form))


@pytest.mark.parametrize("url", VIEWS)
def test_get_is_redirected_to_itself(url: str, client: Client, later: None) -> None:
    page = client.get(f"{url}?q=a b&q=c")
    assert page.status_code == 403
    response = answer(client, page)
    assert (response.status_code, response.headers["Location"]) == (303, f"{url}?q=a%20b&q=c")
    assert client.get(response.headers["Location"]).json()["query"] == "q=a+b&q=c"


@pytest.mark.parametrize("url", VIEWS)
def test_visitor_is_redirected_to_sign_in(url: str) -> None:
    response = browser().post(url, {"to": "eve"})
    assert (response.status_code, response.headers["Location"]) == (
        302,
        f"/auth/sign-in/?next={url}",
    )


@pytest.mark.parametrize("url", ["/async/", "/async-class/"])
def test_async_client_is_asked_too(url: str, client: Client, later: None) -> None:
    browsing = AsyncClient()
    browsing.cookies = client.cookies
    page: Any = async_to_sync(browsing.post)(url, {"to": "eve"})
    assert asks(page)
    fields = {KEPT_FIELD: inputs(page)[KEPT_FIELD]["value"], PASSWORD_FIELD: "cookies"}
    result: Any = async_to_sync(browsing.post)(url, fields)
    assert result.json()["post"] == [["to", ["eve"]]]


def test_password_has_to_be_right(client: Client, later: None) -> None:
    failed: list[str] = []

    def receive(credentials: dict[str, Any], **kwargs: Any) -> None:
        failed.append(credentials["username"])

    user_login_failed.connect(receive)
    try:
        page = answer(client, client.post("/sync/", {"to": "eve"}), "guess")
    finally:
        user_login_failed.disconnect(receive)
    assert failed == ["ada"]
    assert page.status_code == 403
    assert "This is not your password." in page.text
    field = inputs(page)[PASSWORD_FIELD]
    assert field["aria-describedby"] in page.text.partition('<ul class="errorlist"')[2]
    assert field["aria-invalid"] == "true"
    assert field.get("value") is None
    assert "guess" not in page.text
    assert answer(client, page).json()["post"] == [["to", ["eve"]]]


def test_empty_password_is_asked_for_again(client: Client, later: None) -> None:
    page = answer(client, client.post("/sync/", {"to": "eve"}), "")
    assert asks(page)
    assert "This field is required." in page.text


def test_password_of_another_user_is_refused(client: Client, admin: User, later: None) -> None:
    admin.set_password("another")
    admin.save()
    page = answer(client, client.post("/sync/"), "another")
    assert asks(page)
    assert page.wsgi_request.user.username == "ada"


@on("db")
def test_backend_that_returns_another_user_is_refused(
    profile: str, client: Client, admin: User, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = "django.contrib.auth.backends.ModelBackend.authenticate"
    monkeypatch.setattr(backend, lambda *args, **kwargs: admin)
    page = answer(client, client.post("/sync/"))
    assert "This is not your password." in page.text
    assert page.wsgi_request.user.username == "ada"


def test_session_gets_a_new_key_and_keeps_its_data(
    profile: str, client: Client, later: None
) -> None:
    client.post("/sessions/set-item/")
    old_key, row = key_of(client), row_of(client)
    signed_in: list[str] = []

    def receive(user: Any, **kwargs: Any) -> None:
        signed_in.append(user.username)

    user_logged_in.connect(receive)
    try:
        assert answer(client, client.post("/sync/")).json()["method"] == "POST"
    finally:
        user_logged_in.disconnect(receive)
    assert signed_in == ["ada"]
    assert key_of(client) != old_key
    assert "color" in client.get("/sessions/get/").text
    # The device is the same, and its row follows the session.
    assert row_of(client).pk == row.pk
    assert User.objects.get().signed_in_sessions.count() == 1
    if profile not in IN_COOKIES:
        stolen = Client()
        stolen.cookies["sessionid"] = old_key
        assert not is_in(stolen)


@pytest.mark.parametrize("engine", ["db", "signed_cookies"])
def test_djangos_engines_are_served_too(
    engine: str, ada: User, settings: Settings, later: None
) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    client = browser(ada)
    client.post("/sessions/set-item/")
    old_key = key_of(client)
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        page = client.post("/sync/", {"to": "eve"})
        assert asks(page)
        assert answer(client, page).json()["post"] == [["to", ["eve"]]]
        assert key_of(client) != old_key
        assert "color" in client.get("/sessions/get/").text


def test_password_that_is_hashed_again_keeps_the_session(
    client: Client, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("/sessions/set-item/")
    page = client.post("/sync/")
    # As with a user model without our mixin.
    monkeypatch.setattr("cookieproj.devices.user_mixin.signer", lambda *args: NoSigner())
    monkeypatch.setattr("tests.hashing.QuickHasher.iterations", 2)
    before = User.objects.get().password
    assert answer(client, page).json()["method"] == "POST"
    assert User.objects.get().password != before
    assert "color" in client.get("/sessions/get/").text
    assert is_in(client)


class NoSigner:
    def sign(self, value: str) -> str:
        return ""

    def unsign(self, value: str) -> str:
        return value


def test_session_from_before_this_app_is_asked(client: Client) -> None:
    session = client.session
    del session[AUTH_TIME]
    session.save()
    assert asks(client.get("/sync/"))


@pytest.mark.parametrize(("seconds", "is_asked"), [(30, False), (90, True)])
def test_clock_that_was_set_back_does_not_keep_the_sign_in_recent(
    seconds: int, is_asked: bool, client: Client
) -> None:
    """Clocks of several servers differ a little, so not every sign-in in the future is asked."""
    session = client.session
    session[AUTH_TIME] = int(time.time()) + seconds
    session.save()
    assert asks(client.get("/sync/")) is is_asked


def test_seconds_are_those_of_the_setting_by_default(
    client: Client, later: None, settings: Settings
) -> None:
    assert not asks(client.get("/by-setting/"))
    settings.DEVICES_ASK_PASSWORD_AFTER = 3 * 60 * 60
    assert not asks(client.get("/by-setting/"))
    settings.DEVICES_ASK_PASSWORD_AFTER = 30 * 60
    assert asks(client.get("/by-setting/"))


def test_button_pressed_twice_acts_twice_and_asks_once(client: Client, later: None) -> None:
    page = client.post("/sync/", {"to": "eve"})
    assert answer(client, page).json()["post"] == [["to", ["eve"]]]
    # The first answer has the right password; this one comes with the page of before.
    assert answer(client, page, "guess").json()["post"] == [["to", ["eve"]]]


def test_files_are_chosen_again(client: Client, later: None) -> None:
    def file(name: str, text: str) -> SimpleUploadedFile:
        return SimpleUploadedFile(name, text.encode())

    page = client.post("/sync/", {"to": "eve", "scan": [file("a.txt", "1"), file("b.txt", "2")]})
    assert "Files cannot be kept. Choose them again." in page.text
    assert "a.txt, b.txt" in page.text
    assert {"required", "multiple"} <= set(inputs(page)["scan"])
    again = answer(client, page, "guess", scan=[file("a.txt", "1"), file("b.txt", "2")])
    assert "a.txt, b.txt" in again.text
    result = answer(client, again, scan=[file("a.txt", "1"), file("b.txt", "2")]).json()
    assert result["post"] == [["to", ["eve"]]]
    assert result["files"] == [["scan", ["1", "2"]]]


@pytest.mark.parametrize("limit", [20_000, None])
def test_long_post_is_not_kept(
    limit: int | None, client: Client, later: None, settings: Settings
) -> None:
    text = "x" * 9_000
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = limit
    if limit is None:
        text = "x" * 1_000_000
    page = client.post("/sync/", {"text": text[:-10]})
    assert KEPT_FIELD in inputs(page)
    assert "cannot be kept" not in page.text
    page = client.post("/sync/", {"text": text + "x" * 1_010})
    assert "What you sent cannot be kept." in page.text
    assert text not in page.text
    response = answer(client, page)
    assert (response.status_code, "Now go back" in response.text) == (200, True)
    assert not asks(client.post("/sync/", {"text": text}))


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_other_requests_are_not_kept(method: str, client: Client, later: None) -> None:
    page = getattr(client, method)("/sync/", '{"to": "eve"}', content_type="application/json")
    assert page.status_code == 403
    assert "What you sent cannot be kept." in page.text
    assert "Now go back" in answer(client, page).text


def test_post_without_body_is_kept(client: Client, later: None) -> None:
    page = client.generic("POST", "/sync/")
    assert answer(client, page).json() == {"method": "POST", "query": "", "post": [], "files": []}


def test_form_in_a_charset_with_surrogates_is_kept(client: Client, later: None) -> None:
    part = b'Content-Disposition: form-data; name="to"'
    page = client.generic(
        "POST",
        "/sync/",
        b"--x\r\n" + part + b"\r\n\r\neve \\ud800\r\n--x--\r\n",
        content_type="multipart/form-data; boundary=x; charset=raw_unicode_escape",
    )
    assert answer(client, page).json()["post"] == [["to", ["eve ?"]]]


@pytest.mark.parametrize("url", ["/sync/", "/exempt/"])
def test_forged_answer_is_refused(url: str, client: Client, later: None) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    token = inputs(strict.get(url))["csrfmiddlewaretoken"]["value"]
    form = {PASSWORD_FIELD: "cookies", KEPT_FIELD: "to=eve"}
    response = strict.post(url, form)
    assert response.status_code == 403
    assert not asks(response)
    assert strict.post(url, form | {"csrfmiddlewaretoken": token}).json()["post"] == [
        ["to", ["eve"]]
    ]


def test_token_is_not_kept(client: Client, later: None) -> None:
    page = client.post("/sync/", {"csrfmiddlewaretoken": "x", "to": "eve"})
    assert inputs(page)[KEPT_FIELD]["value"] == "to=eve"


@pytest.mark.parametrize("has_password", [True, False])
def test_user_without_password_is_sent_to_sign_in(
    has_password: bool, client: Client, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a sign-in elsewhere; some user models have no password at all."""
    if has_password:
        monkeypatch.setattr(get_user_model(), "has_usable_password", lambda user: False)
    else:
        monkeypatch.setattr("cookieproj.devices.asking_password.signed_in_user", without_password)
    page = client.post("/sync/?next=//evil.example", {"to": "eve"})
    assert page.status_code == 403
    assert 'href="/auth/sign-in/?next=/sync/%3Fnext%3D//evil.example"' in page.text
    assert "What you sent cannot be kept." in page.text
    assert "cannot be kept" not in client.get("/sync/").text
    # Without the page, nobody guesses a password that is not there.
    assert not asks(client.post("/sync/", {PASSWORD_FIELD: "cookies", KEPT_FIELD: ""}))
    client.post("/auth/sign-in/", {"username": "ada", "password": "cookies"})
    assert client.get("/sync/").json()["method"] == "GET"


def without_password(request: HttpRequest) -> Any:
    user: Any = request.user
    user.password = None
    return user


def test_error_reports_hide_password_and_kept_form(
    client: Client, later: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the view runs these two are hidden, and what the view hides stays hidden."""
    # In no line of this file, as reports quote them.
    pin, password = str(uuid4()), str(uuid4())
    reports = []

    def report(request: HttpRequest, **kwargs: Any) -> None:
        reports.append(ExceptionReporter(request, *sys.exc_info()).get_traceback_html())

    @sensitive_variables()
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    caplog.set_level(logging.DEBUG)
    client.raise_request_exception = False
    got_request_exception.connect(report)
    try:
        page = client.post("/broken/", {"pin": pin, "to": "eve"})
        with monkeypatch.context() as patch:
            patch.setattr("cookieproj.devices.asking_password.authenticate", fail)
            assert answer(client, page, password).status_code == 500
        assert answer(client, page).status_code == 500
    finally:
        got_request_exception.disconnect(report)
    before, within = reports
    assert PASSWORD_FIELD in before
    assert "eve" in within
    for text in (*reports, caplog.text):
        assert pin not in text
        assert password not in text


def test_checksessions_finds_the_guarded_views() -> None:
    guarded = {route for route, view in views() if asks_for_password(view)}
    assert {f"/{url.lstrip('/')}" for url in VIEWS} <= guarded
    assert "/devices/sign-out-others/" in guarded
    assert "/devices/" not in guarded
