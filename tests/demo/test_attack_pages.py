"""The attempts of /break/ have the expected outcome on every profile and leave no data."""

import ast
import html
import re
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.conf import settings as site_settings
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.test import Client
from pytest_django import Settings

from cookieproj.devices.models import RefusedSession, SignedInSession
from cookieproj.engines import running_engine
from cookieproj.engines.constants import DJANGO_ENGINE_NAMES, DJANGO_ENGINES, MONGODB
from cookieproj.engines.db import SessionStore as DBStore
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.mongodb_client import documents
from cookieproj.engines.subclass_hooks import overrides
from cookieproj.settings.caches import caches as configured_caches
from demo import view_source
from demo.attacks import ATTEMPTS, Trial, targets
from demo.models import User
from demo.temporary_user import temporary_user
from tests.conftest import on
from tests.families import IN_COOKIES

# Whether each trial is withstood, in their order: Django's engine and ours on the server, then
# both in cookies.
EXPECTED = {
    "change-a-character": [False, True, True, True],
    "type-is-login": [False, True, True, True, True, True],
    "fix-a-session-key": [True, False, True] * 2,
    "replay-after-signing-out": [True, True, True, True, False, True, True, True],
    "steal-a-cookie": [False, True] * 4,
    "replay-after-a-switch": [True, False, True, True] * 2,
    "write-twice-at-once": [False, True, False, False],
    "sign-in-twice-at-once": [True, True, False, False],
    "send-5000-bytes": [True, True, False, True],
    "fill-the-store": [False, True, True, True],
}
EXPECTED_IN_COOKIES = {
    # A planted cookie contains the attacker's session and never becomes the victim's.
    "fix-a-session-key": [True] * 6,
    "replay-after-a-switch": [True, False, True, True],
}
# If Django's engines stand in the place of ours.
EXPECTED_OF_DJANGOS = {
    "replay-after-signing-out": [True, True, True, True, False, True, False, True],
    "replay-after-a-switch": [True, False, True, False] * 2,
    "write-twice-at-once": [False] * 4,
    "send-5000-bytes": [True, True, False, False],
    "fill-the-store": [False, True, False, True],
}


def stored_counts(folder: Path) -> list[int]:
    counts = [
        model.objects.count()
        for model in (User, Session, SignedInSession, RefusedSession, LogEntry)
    ]
    # Lock files, which stay, have a dot before their names.
    counts.append(len(list(folder.glob("[!.]*"))))
    if running_engine.name() == MONGODB:
        counts.append(documents(site_settings.SESSION_MONGODB_URL).count_documents({}))
    if running_engine.name() in {"cache", "cached_db"}:
        counts.append(len(list(caches["sessions"].iter_keys("*"))))  # type: ignore[attr-defined]
    return counts


def run_attempt(name: str) -> list[Trial]:
    return list(ATTEMPTS[name].run())


def withstood(name: str) -> list[bool]:
    return [trial.withstood for trial in run_attempt(name)]


@pytest.mark.parametrize("name", EXPECTED)
def test_attempt_has_expected_outcome(
    name: str, profile: str, settings: Settings, tmp_path: Path
) -> None:
    settings.DEBUG = True
    before = stored_counts(tmp_path)
    expected = EXPECTED | (EXPECTED_IN_COOKIES if profile in IN_COOKIES else {})
    assert withstood(name) == expected[name]
    after = stored_counts(tmp_path)
    # cached_db keeps a tombstone of a deleted copy for a while.
    kept = 1 if profile == "cached_db" else 0
    assert after[: len(after) - kept] == before[: len(before) - kept]


@on("cache", "cached_db")
@pytest.mark.parametrize("name", EXPECTED)
def test_attempt_works_with_memcached(
    name: str, profile: str, settings: Settings, memcached_url: str
) -> None:
    """A copied cookie is no name that memcached can have."""
    settings.DEBUG = True
    settings.CACHES = configured_caches(memcached_url)
    assert withstood(name) == EXPECTED[name]


def test_every_attempt_is_tested() -> None:
    assert ATTEMPTS.keys() == EXPECTED.keys()


@on(*DJANGO_ENGINE_NAMES)
@pytest.mark.parametrize("name", EXPECTED_OF_DJANGOS)
def test_djangos_engine_in_place_of_ours_is_shown_as_broken(
    name: str, profile: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEBUG = True
    monkeypatch.setattr(targets, "OUR_ENGINES", DJANGO_ENGINES)
    expected = EXPECTED_OF_DJANGOS[name]
    if name == "replay-after-a-switch" and profile in IN_COOKIES:
        expected = expected[:4]
    assert withstood(name) == expected


def test_only_our_engines_keep_owner_signed_in_over_a_switch(profile: str) -> None:
    djangos, ours = (
        "The switch has signed out everybody: the owner, and the copy too.",
        "The owner stayed signed in until the sign-out. The copy is no longer signed in.",
    )
    outcomes = [trial.outcome for trial in run_attempt("replay-after-a-switch")]
    assert outcomes[::4] == [djangos] * (len(outcomes) // 4)
    assert outcomes[2::4] == [ours] * (len(outcomes) // 4)


@pytest.mark.parametrize("name", EXPECTED)
def test_second_run_makes_no_further_class(name: str, profile: str) -> None:
    """The engines cache what they find out about a class, so its memory is never freed."""
    run_attempt(name)
    number = overrides.cache_info().currsize
    run_attempt(name)
    assert overrides.cache_info().currsize == number


def our_classes() -> list[Any]:
    return [
        targets.djangos_and_ours(name)[1].session_class
        for name in (targets.server_name(), targets.cookie_name())
    ]


def test_engine_that_accepts_any_key_is_shown(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = targets.djangos_and_ours(profile)[1].session_class
    monkeypatch.setattr(ours, "load", lambda self: {})
    monkeypatch.setattr(ours, "save", lambda self, must_create=False: None)
    monkeypatch.setattr(ours, "cycle_key", lambda self: None)
    trials = run_attempt("fix-a-session-key")
    assert trials[0].withstood
    assert trials[3].outcome == "The site stores the session under that key."


def test_engine_that_keeps_planted_key_is_shown(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = targets.djangos_and_ours(profile)[1].session_class
    monkeypatch.setattr(ours, "cycle_key", lambda self: None)
    # A cookie that contains the session cannot be planted.
    assert run_attempt("fix-a-session-key")[5].withstood == (profile in IN_COOKIES)


def test_engine_that_reads_changed_cookie_is_shown(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(our_classes()[1], "load", lambda self: {"role": "quest"})
    trial = run_attempt("change-a-character")[3]
    assert (trial.withstood, trial.outcome) == (False, "The site reads “quest”.")


def test_engine_that_lets_made_up_cookie_in_is_shown(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with temporary_user() as user:
        with targets.signed_in_session(our_classes()[1], user) as session:
            data = dict(session.items())
        for ours in our_classes():
            monkeypatch.setattr(ours, "load", lambda self: dict(data))
        assert withstood("type-is-login") == [False, True, False, True, False, True]


def test_engine_that_keeps_old_key_of_sign_in_is_shown(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(our_classes()[0], "_end_replaced_keys", lambda self: None)
    trial = run_attempt("sign-in-twice-at-once")[1]
    assert not trial.withstood
    assert trial.outcome.endswith("but the old cookie opens the anonymous session.")


def test_engine_that_signs_old_key_in_is_shown(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(our_classes()[0], "cycle_key", lambda self: None)
    trial = run_attempt("sign-in-twice-at-once")[1]
    assert (trial.withstood, trial.outcome) == (False, "The old cookie is signed in.")


def test_other_engine_is_compared_as_db(settings: Settings, db: None) -> None:
    settings.SESSION_ENGINE = "tests.engines.example"
    targets_shown = [trial.target for trial in run_attempt("write-twice-at-once")]
    assert targets_shown[:2] == ["Django's db", "Our db"]


@pytest.mark.parametrize("name", ["send-5000-bytes", "write-twice-at-once"])
def test_unreachable_store_is_503_and_leaves_no_session(
    name: str, client: Client, db: None
) -> None:
    unavailable = StoreUnavailableError("table django_session", "No answer.")
    with mock.patch.object(DBStore, "load", side_effect=unavailable):
        assert client.post(f"/break/{name}/").status_code == 503
    assert Session.objects.count() == 0


def test_oversized_cookie_is_logged_without_debug(
    db: None, caplog: pytest.LogCaptureFixture
) -> None:
    trials = run_attempt("send-5000-bytes")
    assert [trial.withstood for trial in trials] == [True, True, False, False]
    assert trials[3].outcome.startswith("The cookie has 51")
    assert "the log says so" in trials[3].outcome
    assert "The cookie sessionid takes 52" in caplog.text


def attempt_page(client: Client, name: str) -> str:
    response = client.post(f"/break/{name}/")
    assert response.status_code == 200
    return html.unescape(response.content.decode())


@pytest.mark.parametrize("name", EXPECTED)
def test_page_shows_outcome_and_explanation(
    name: str, client: Client, db: None, settings: Settings
) -> None:
    settings.DEBUG = True
    before = html.unescape(client.get("/break/").content.decode())
    assert str(ATTEMPTS[name].about) in before
    assert f"<b>The harm:</b> {ATTEMPTS[name].harm}" in before
    page = attempt_page(client, name)
    card = page.partition(f'id="{name}"')[2].partition("</section>")[0]
    marks = re.findall("[✓✗]", re.sub("<details>.*", "", card, flags=re.DOTALL))
    assert marks == ["✓" if withstood else "✗" for withstood in EXPECTED[name]]
    harmful = marks.count("✗")
    assert f"The harm was done in {harmful} of {len(marks)} trials." in card
    assert str(ATTEMPTS[name].why) in card
    assert page.count('class="trials"') == 1
    # The attempt leaves the visitor's own session alone.
    assert "sessionid" not in client.cookies


def test_attempt_runs_only_by_post_with_csrf_token(client: Client, db: None) -> None:
    response = client.get("/break/write-twice-at-once/")
    assert response.headers["Location"] == "/break/#write-twice-at-once"
    assert client.get("/break/none/").status_code == 404
    assert client.post("/break/none/").status_code == 404
    csrf_client = Client(enforce_csrf_checks=True)
    assert csrf_client.post("/break/write-twice-at-once/").status_code == 403


def test_source_is_parsed_once_and_by_one_thread_at_a_time(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = ast.parse
    was_locked = []

    def record(text: str) -> ast.Module:
        was_locked.append(view_source.parser_lock.locked())
        return parse(text)

    monkeypatch.setattr(ast, "parse", record)
    for attempt in ATTEMPTS.values():
        vars(attempt).pop("source", None)
    for _request in range(2):
        assert client.get("/break/").status_code == 200
    assert was_locked == [True] * len(ATTEMPTS)


def test_page_shows_code_of_attempts(client: Client, db: None) -> None:
    page = client.get("/break/").content.decode()
    for attempt in ATTEMPTS.values():
        assert f'<span class="nf">{attempt.run.__name__}</span>' in page
    assert "gettext_lazy" not in page
