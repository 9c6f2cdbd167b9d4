"""The attempts of /break/ have the expected outcome on every profile and leave no data."""

import html
import re
from unittest import mock

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.test import Client
from pytest_django import Settings

from cookieproj.devices.models import RefusedSession, SignedInSession
from cookieproj.engines import running_engine
from cookieproj.engines.constants import DJANGO_ENGINES
from cookieproj.engines.db import SessionStore as DBStore
from cookieproj.engines.exceptions import StoreUnavailableError
from demo import attacks
from demo.attacks import ATTEMPTS, Trial
from demo.models import User
from tests.families import IN_COOKIES

# Whether each trial is withstood, in their order.
EXPECTED = {
    "change-a-character": [False, True],
    "replay-after-signing-out": [True, True, False, True],
    "type-is-login": [False, True],
    "fix-a-session-key": [True, False, True],
    "send-5000-bytes": [False, True, True],
    "write-twice-at-once": [True, False],
}
# A planted cookie contains the attacker's session and never becomes the victim's.
EXPECTED_IN_COOKIES = {"fix-a-session-key": [True, True, True]}


def stored_counts() -> list[int]:
    counts = [
        model.objects.count()
        for model in (User, Session, SignedInSession, RefusedSession, LogEntry)
    ]
    if running_engine.name() in {"cache", "cached_db"}:
        counts.append(len(list(caches["sessions"].iter_keys("*"))))  # type: ignore[attr-defined]
    return counts


def run_attempt(name: str) -> list[Trial]:
    return list(ATTEMPTS[name].run())


@pytest.mark.parametrize("name", EXPECTED)
def test_attempt_has_expected_outcome(name: str, profile: str, settings: Settings) -> None:
    settings.DEBUG = True
    before = stored_counts()
    expected = EXPECTED | (EXPECTED_IN_COOKIES if profile in IN_COOKIES else {})
    assert [trial.withstood for trial in run_attempt(name)] == expected[name]
    after = stored_counts()
    # cached_db keeps a tombstone of a deleted copy for a while.
    assert after[:5] == before[:5]
    assert after[5:] == before[5:] or profile == "cached_db"


def test_every_attempt_is_tested() -> None:
    assert ATTEMPTS.keys() == EXPECTED.keys()


def test_lost_write_is_shown(profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attacks, "OUR_ENGINES", DJANGO_ENGINES)
    trials = run_attempt("write-twice-at-once")
    assert [trial.outcome for trial in trials] == ["Lost: first."] * 2


def test_engine_that_accepts_any_key_is_shown(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_any_key(self: object) -> dict[str, object]:
        return {}

    monkeypatch.setattr(running_engine.store(), "load", load_any_key)
    monkeypatch.setattr(running_engine.store(), "save", lambda self, must_create=False: None)
    monkeypatch.setattr(running_engine.store(), "cycle_key", lambda self: None)
    assert (
        run_attempt("fix-a-session-key")[0].outcome == "The site stores the session under that key."
    )


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
    assert trials[1].outcome.startswith("The cookie has 51")
    assert "the log says so" in trials[1].outcome
    assert "The cookie sessionid takes 52" in caplog.text


def attempt_page(client: Client, name: str) -> str:
    response = client.post(f"/break/{name}/")
    assert response.status_code == 200
    return html.unescape(response.content.decode())


@pytest.mark.parametrize("name", EXPECTED)
def test_page_shows_outcome_and_explanation(name: str, client: Client, db: None) -> None:
    assert str(ATTEMPTS[name].about) in client.get("/break/").content.decode()
    page = attempt_page(client, name)
    card = page.partition(f'id="{name}"')[2].partition("</section>")[0]
    marks = re.findall("withstood|broken", re.sub("<details>.*", "", card, flags=re.DOTALL))
    assert len(marks) == len(EXPECTED[name])
    assert str(ATTEMPTS[name].why) in card
    assert page.count('role="status"') == 1
    # The attempt leaves the visitor's own session alone.
    assert "sessionid" not in client.cookies


def test_attempt_runs_only_by_post_with_csrf_token(client: Client, db: None) -> None:
    response = client.get("/break/write-twice-at-once/")
    assert response.headers["Location"] == "/break/#write-twice-at-once"
    assert client.get("/break/none/").status_code == 404
    assert client.post("/break/none/").status_code == 404
    csrf_client = Client(enforce_csrf_checks=True)
    assert csrf_client.post("/break/write-twice-at-once/").status_code == 403


def test_page_shows_code_of_attempts(client: Client, db: None) -> None:
    page = client.get("/break/").content.decode()
    for attempt in ATTEMPTS.values():
        assert f'<span class="nf">{attempt.run.__name__}</span>' in page
    assert "gettext_lazy" not in page
