"""The page that asks first: its answers come from doing it, on every engine."""

import html
import re

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import caches as cache_connections
from django.test import Client
from pytest_django import Settings

from cookieproj.devices.models import SignedInSession
from cookieproj.engines.mongodb_client import documents
from cookieproj.settings.caches import caches
from demo.models import User
from demo.questions import QUESTIONS, answered
from demo.questions.changed import OTHER_KEY
from tests.conftest import on
from tests.families import IN_COOKIES

# Requests find a session that is not signed: in the cache, or in MongoDB.
UNSIGNED = {"cache", "cached_db", "mongodb"}


def expected(name: str, profile: str) -> str:
    in_cookie = "yes" if profile in IN_COOKIES else "no"
    readable = {"signed_cookies": "everything", "encrypted_cookies": "length"}
    return {
        "read-the-copied-cookie": readable.get(profile, "nothing"),
        "use-the-copied-cookie": "yes",
        "change-one-character": "empty",
        "delete-the-stored-session": in_cookie,
        "clear-the-cache": "no" if profile == "cache" else "yes",
        "sign-out-and-use-a-copy": "no",
        "restart-the-site": "yes",
        "use-it-after-its-end": "no",
        "close-the-browser": "yes",
        "change-the-secret-key": "yes" if profile in UNSIGNED else "no",
        "change-the-engine": "no",
        "hand-the-sessions-over": "yes",
    }[name]


EACH = pytest.mark.parametrize("name", QUESTIONS)


def card_of(client: Client, name: str, guess: str = "") -> str:
    response = client.post(f"/questions/{name}/", {"guess": guess} if guess else {})
    assert response.status_code == 200
    page = html.unescape(response.content.decode())
    return page.partition(f'id="{name}"')[2].partition("</section>")[0]


@EACH
def test_answer_on_every_engine(name: str, profile: str, client: Client) -> None:
    right = expected(name, profile)
    assert answered(name).answer == right
    question = QUESTIONS[name]
    for choice in question.choices:
        card = card_of(client, name, choice)
        answer = str(question.choices[right])
        assert (f"✓ Right: “{answer}”." in card) == (choice == right)
        assert (f"✗ Wrong: the answer is “{answer}”." in card) == (choice != right)
        assert str(question.why[right]) in card
        assert len(re.findall("<li>", card)) >= 3


@on("signed_cookies", "encrypted_cookies")
@pytest.mark.parametrize("check", ["", None])
def test_copy_outlives_sign_out_without_a_list(
    check: str | None, profile: str, settings: Settings
) -> None:
    if check is not None:
        settings.SESSION_REVOCATION_CHECK = check
    answer = answered("sign-out-and-use-a-copy").answer
    assert answer == ("no" if check is None else "yes")


@on("db", "signed_cookies")
def test_answers_with_signed_ids_and_in_a_handover(profile: str, settings: Settings) -> None:
    settings.SESSION_ID_SIGNED = True
    settings.SESSION_HANDOVER_FROM = "file"
    for name in QUESTIONS:
        assert answered(name).answer == expected(name, profile)


def test_answers_of_djangos_engine(settings: Settings, db: None) -> None:
    """They have no handover."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    for name in QUESTIONS:
        right = "no" if name == "hand-the-sessions-over" else expected(name, "db")
        assert answered(name).answer == right


def test_djangos_cookies_have_no_end_of_their_own(settings: Settings, db: None) -> None:
    """Nothing reads what their set_expiry() has stored."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    assert answered("use-it-after-its-end").answer == "yes"
    assert answered("change-the-secret-key").answer == "no"


@on("cache", "cached_db")
def test_restart_of_a_site_whose_cache_is_its_memory(profile: str, settings: Settings) -> None:
    settings.CACHES = caches("locmem://")
    result = answered("restart-the-site")
    assert result.answer == ("no" if profile == "cache" else "yes")
    assert any("in its own memory" in step for step in result.steps)
    why = str(QUESTIONS["restart-the-site"].why["yes"])
    assert why.startswith("The process had only a copy in its own memory.")
    settings.CACHES = caches("redis://127.0.0.1:1")
    why = str(QUESTIONS["restart-the-site"].why["yes"])
    assert why == "No process of the site has the session in its own memory."


@on("cache", "cached_db")
def test_new_secret_key_restarts_a_site_whose_cache_is_its_memory(
    profile: str, settings: Settings
) -> None:
    settings.CACHES = caches("locmem://")
    result = answered("change-the-secret-key")
    assert result.answer == "no"
    assert any("in its own memory" in step for step in result.steps)
    why = str(QUESTIONS["change-the-secret-key"].why["no"])
    assert ("SECRET_KEY_FALLBACKS would not keep it" in why) == (profile == "cache")
    assert ("Put the old key into" in why) == (profile == "cached_db")
    # Only the missing entry counts, on the row the key alone.
    settings.SECRET_KEY_FALLBACKS = [OTHER_KEY]
    assert answered("change-the-secret-key").answer == ("no" if profile == "cache" else "yes")


def test_signature_of_what_is_stored_is_named(profile: str, client: Client) -> None:
    card = card_of(client, "change-the-secret-key", "no")
    assert ("the session is stored with a signature" in card) == (profile in {"db", "file"})


def test_engines_with_the_same_rows_are_the_exception(profile: str, client: Client) -> None:
    card = card_of(client, "change-the-engine", "no")
    other = {"db": "cached_db", "cached_db": "db"}.get(profile, "")
    exception = f"A change between {profile} and {other} is the exception"
    assert (exception in card) == bool(other)
    assert ("is the exception" in card) == bool(other)


@on("signed_cookies")
def test_copy_is_refused_by_a_list_that_django_has_not(
    profile: str, settings: Settings, client: Client
) -> None:
    card = card_of(client, "sign-out-and-use-a-copy", "no")
    assert "Django's signed_cookies alone has no such list, and a copy stays valid" in card
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    assert answered("sign-out-and-use-a-copy").answer == "yes"


@pytest.mark.parametrize(("at_close", "right"), [(True, "no"), (False, "yes")])
def test_closing_the_browser_is_decided_by_the_line_of_the_cookie(
    at_close: bool, right: str, settings: Settings, client: Client, db: None
) -> None:
    settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = at_close
    result = answered("close-the-browser")
    assert result.answer == right
    [line] = [step for step in result.steps if step.startswith("Set-Cookie: sessionid=")]
    client.post("/sessions/set-item/")
    own = client.cookies["sessionid"]
    assert ("Max-Age" in line) == bool(own["max-age"]) == (not at_close)
    assert ("HttpOnly" in line) == bool(own["httponly"])
    if at_close:
        assert "restores its windows" in card_of(client, "close-the-browser", "yes")


def test_signed_ids_need_the_key(settings: Settings, empty_stores: None, db: None) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    assert answered("change-the-secret-key").answer == "yes"
    settings.SESSION_ID_SIGNED = True
    assert answered("change-the-secret-key").answer == "no"


def test_nothing_is_left(profile: str, settings: Settings, client: Client, ada: User) -> None:
    client.force_login(ada)
    own_key = client.cookies["sessionid"].value
    sessions, rows = Session.objects.count(), SignedInSession.objects.count()
    cache = cache_connections["sessions"]
    keys = list(cache.iter_keys("*")) if profile in {"cache", "cached_db"} else []  # type: ignore[attr-defined]
    for name in QUESTIONS:
        assert "What was done" in card_of(client, name, next(iter(QUESTIONS[name].choices)))
    assert client.cookies["sessionid"].value == own_key
    assert client.get("/auth/account/").status_code == 200
    assert Session.objects.count() == sessions
    assert SignedInSession.objects.count() == rows
    assert list(User.objects.all()) == [ada]
    if keys:
        assert list(cache.iter_keys("*")) == keys  # type: ignore[attr-defined]
    if profile == "mongodb":
        assert documents(settings.SESSION_MONGODB_URL).count_documents({}) == 1


@on("signed_cookies")
def test_only_checking_the_signature_needs_the_secret(profile: str) -> None:
    steps = answered("read-the-copied-cookie").steps
    assert [step for step in steps if "needs SECRET_KEY" in step] == [
        "Check the signature: this needs SECRET_KEY."
    ]
    assert "Decode base64: this needs no secret." in steps


def test_visitor_without_session_gets_none(client: Client, db: None) -> None:
    card_of(client, "change-one-character", "empty")
    assert "sessionid" not in client.cookies


@pytest.mark.parametrize("guess", ["", "perhaps"])
def test_guess_is_required(guess: str, client: Client, db: None) -> None:
    card = card_of(client, "change-one-character", guess)
    assert 'class="errorlist"' in card
    assert "What was done" not in card


def test_question_is_tried_only_by_post_with_csrf_token(client: Client, db: None) -> None:
    response = client.get("/questions/clear-the-cache/")
    assert response.headers["Location"] == "/questions/#clear-the-cache"
    for method in (client.get, client.post):
        assert method("/questions/none/").status_code == 404
    csrf_client = Client(enforce_csrf_checks=True)
    assert csrf_client.post("/questions/clear-the-cache/", {"guess": "yes"}).status_code == 403


def test_page_asks_and_does_not_tell(client: Client, db: None) -> None:
    page = html.unescape(client.get("/questions/").content.decode())
    for question in QUESTIONS.values():
        assert str(question.title) in page
        assert f'<span class="nf">{question.run.__name__}</span>' in page
        assert not any(str(reason) in page for reason in question.why.values())


def test_store_that_does_not_answer(settings: Settings, client: Client, db: None) -> None:
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    settings.CACHES = caches("redis://127.0.0.1:1/0")
    card = card_of(client, "change-one-character", "empty")
    assert "The store does not answer." in card


def test_engine_that_is_not_known(settings: Settings, client: Client, db: None) -> None:
    settings.SESSION_ENGINE = "tests.engines.example"
    assert "which it cannot try" in client.get("/questions/").content.decode()
    assert client.post("/questions/clear-the-cache/", {"guess": "yes"}).status_code == 404


def test_explanation_is_of_the_running_engine(profile: str, client: Client) -> None:
    card = card_of(client, "clear-the-cache", "no")
    assert ("This engine uses no cache." in card) == (profile not in {"cache", "cached_db"})
    card = card_of(client, "sign-out-and-use-a-copy", "yes")
    assert ("on the list of those" in card) == (profile in IN_COOKIES)
    other = "db" if profile == "signed_cookies" else "signed_cookies"
    assert f"SESSION_PROFILE={other} " in client.get("/questions/").content.decode()
