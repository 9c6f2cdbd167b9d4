"""Each attempt comes out as it must, on every profile, and leaves nothing behind."""

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
# There a planted cookie holds the attacker's session, and goes on holding that.
EXPECTED_IN_COOKIES = {"fix-a-session-key": [True, True, True]}


def left_behind() -> list[int]:
    found = [
        model.objects.count()
        for model in (User, Session, SignedInSession, RefusedSession, LogEntry)
    ]
    if running_engine.name() in {"cache", "cached_db"}:
        found.append(len(list(caches["sessions"].iter_keys("*"))))  # type: ignore[attr-defined]
    return found


def made(name: str) -> list[Trial]:
    return list(ATTEMPTS[name].run())


@pytest.mark.parametrize("name", EXPECTED)
def test_it_comes_out_as_it_must(name: str, profile: str, settings: Settings) -> None:
    settings.DEBUG = True
    before = left_behind()
    expected = EXPECTED | (EXPECTED_IN_COOKIES if profile in IN_COOKIES else {})
    assert [trial.withstood for trial in made(name)] == expected[name]
    after = left_behind()
    # Of a copy that has been deleted cached_db keeps a mark for a while.
    assert after[:5] == before[:5]
    assert after[5:] == before[5:] or profile == "cached_db"


def test_every_attempt_is_tested() -> None:
    assert ATTEMPTS.keys() == EXPECTED.keys()


def test_an_engine_that_loses_a_write_is_shown_to(
    profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attacks, "OUR_ENGINES", DJANGO_ENGINES)
    trials = made("write-twice-at-once")
    assert [trial.outcome for trial in trials] == ["Lost: first."] * 2


def test_an_engine_that_takes_any_key_is_shown_to(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def takes_it(self: object) -> dict[str, object]:
        return {}

    monkeypatch.setattr(running_engine.store(), "load", takes_it)
    monkeypatch.setattr(running_engine.store(), "save", lambda self, must_create=False: None)
    monkeypatch.setattr(running_engine.store(), "cycle_key", lambda self: None)
    assert made("fix-a-session-key")[0].outcome == "The site stores the session under that key."


@pytest.mark.parametrize("name", ["send-5000-bytes", "write-twice-at-once"])
def test_a_store_that_goes_away_is_a_503_with_nothing_left(
    name: str, client: Client, db: None
) -> None:
    away = StoreUnavailableError("table django_session", "It is away.")
    with mock.patch.object(DBStore, "load", side_effect=away):
        assert client.post(f"/break/{name}/").status_code == 503
    assert Session.objects.count() == 0


def test_where_debug_is_off_only_the_log_is_told(
    db: None, caplog: pytest.LogCaptureFixture
) -> None:
    trials = made("send-5000-bytes")
    assert trials[1].outcome.startswith("The cookie has 51")
    assert "the log says so" in trials[1].outcome
    assert "The cookie sessionid takes 52" in caplog.text


def shown(client: Client, name: str) -> str:
    response = client.post(f"/break/{name}/")
    assert response.status_code == 200
    return html.unescape(response.content.decode())


@pytest.mark.parametrize("name", EXPECTED)
def test_the_page_shows_what_happened_and_why(name: str, client: Client, db: None) -> None:
    assert str(ATTEMPTS[name].about) in client.get("/break/").content.decode()
    page = shown(client, name)
    card = page.partition(f'id="{name}"')[2].partition("</section>")[0]
    marks = re.findall("withstood|broken", re.sub("<details>.*", "", card, flags=re.DOTALL))
    assert len(marks) == len(EXPECTED[name])
    assert str(ATTEMPTS[name].why) in card
    assert page.count('role="status"') == 1
    # The visitor's own session has no part in it.
    assert "sessionid" not in client.cookies


def test_an_attempt_is_made_by_its_button_only(client: Client, db: None) -> None:
    came_back = client.get("/break/write-twice-at-once/")
    assert came_back.headers["Location"] == "/break/#write-twice-at-once"
    assert client.get("/break/none/").status_code == 404
    assert client.post("/break/none/").status_code == 404
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/break/write-twice-at-once/").status_code == 403


def test_the_code_is_the_running_one(client: Client, db: None) -> None:
    page = client.get("/break/").content.decode()
    for attempt in ATTEMPTS.values():
        assert f'<span class="nf">{attempt.run.__name__}</span>' in page
    assert "gettext_lazy" not in page
