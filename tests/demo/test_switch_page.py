"""The page that explains a switch of engines."""

import html
from itertools import permutations

import pytest
from django.test import Client
from pytest_django import Settings

from cookieproj.profiles import PROFILES
from cookieproj.settings.caches import caches, previous_cache
from demo.models import User
from tests.browsers import browser
from tests.conftest import on
from tests.families import IN_COOKIES


def get_page(client: Client, path: str = "/switch/", status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status
    return response.content.decode()


@pytest.mark.parametrize(("old", "new"), list(permutations(PROFILES, 2)))
def test_commands_of_each_switch(settings: Settings, db: None, old: str, new: str) -> None:
    settings.CACHES = caches("redis://127.0.0.1:1")
    page = get_page(browser(), f"/switch/?old={old}&new={new}")
    assert f"SESSION_PROFILE={new} SESSION_HANDOVER_FROM={old} scripts/run" in page
    assert f"SESSION_PROFILE={old} SESSION_HANDOVER_FROM={new} scripts/run" in page
    command = f"python manage.py movesessions --from {old} --to {new}"
    assert (command in page) == (not IN_COOKIES & {old, new})


@pytest.mark.parametrize(("old", "new"), [("db", "cache"), ("file", "signed_cookies")])
def test_handover_is_explained_where_the_word_is_first_used(db: None, old: str, new: str) -> None:
    page = get_page(browser(), f"/switch/?old={old}&new={new}")
    main = page.partition("<main")[2]
    sentence = main.partition("handover")[2].partition("</p>")[0]
    assert sentence.startswith(": while SESSION_HANDOVER_FROM names the old engine, the new one")
    assert f"any two of the {len(PROFILES)} engines" in sentence


def main_of(old: str, new: str) -> str:
    return html.unescape(get_page(browser(), f"/switch/?old={old}&new={new}").partition("<main")[2])


@pytest.mark.parametrize("new", ["db", "cached_db", "file", "signed_cookies"])
def test_sessions_in_process_memory_are_not_handed_over(
    new: str, settings: Settings, db: None
) -> None:
    settings.CACHES = caches("locmem://")
    page = main_of("cache", new)
    assert "a handover finds nothing to take over" in page
    assert "a switch from cache signs everybody out all the same" in page
    for claim in ("Nobody is signed out", "moves when it is next used", "It works at any time"):
        assert claim not in page
    assert "movesessions" not in page
    assert f"SESSION_PROFILE={new} scripts/run" in page
    assert f"SESSION_PROFILE={new} SESSION_HANDOVER_FROM" not in page
    # Back into memory, until the next restart.
    assert f"SESSION_PROFILE=cache SESSION_HANDOVER_FROM={new} scripts/run" in page
    assert "they end with its next restart" in page


def test_sessions_that_move_into_process_memory_end_with_it(settings: Settings, db: None) -> None:
    settings.CACHES = caches("locmem://")
    page = main_of("file", "cache")
    assert "each restart ends the sessions that have moved" in page
    assert "Nobody is signed out before the next restart." in page
    assert "This ends the sessions that have moved too" in page
    assert "With several processes" not in page
    assert "movesessions" not in page
    assert "It works at any time" not in page
    assert "SESSION_PROFILE=file scripts/run" in page


def test_rows_of_cached_db_outlive_its_process_memory(settings: Settings, db: None) -> None:
    settings.CACHES = caches("locmem://")
    page = main_of("cached_db", "file")
    assert "Nobody is signed out. Keep the settings" in page
    assert "movesessions --from cached_db --to file" in page


def test_previous_cache_on_a_server_is_handed_over_into_process_memory(
    settings: Settings, db: None, redis_url: str
) -> None:
    settings.CACHES = {**caches("locmem://"), "handover": previous_cache(f"{redis_url}/5")}
    settings.SESSION_HANDOVER_CACHE_ALIAS = "handover"
    settings.SESSION_HANDOVER_FROM = "cache"
    page = main_of("cache", "db")
    assert "It takes over the sessions of <code>cache</code>." in page
    assert "finds nothing to take over" not in page
    settings.SESSION_HANDOVER_CACHE_ALIAS = ""
    page = main_of("cache", "db")
    assert "It takes over the sessions" not in page
    assert "finds nothing to take over" in page


@pytest.mark.parametrize(("old", "new"), [("db", "cached_db"), ("cached_db", "db")])
def test_engines_with_the_same_rows_move_nothing(old: str, new: str, db: None) -> None:
    page = main_of(old, new)
    assert "Both engines use the same rows" in page
    assert "Each session stays in its row. Nobody is signed out." in page
    assert f"when no process runs on {old} any more" in page
    for claim in ("moves when it is next used", "all sessions have moved", "other has moved"):
        assert claim not in page
    assert "There are none. This command deletes the copies" in page


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("old=db&new=db", "These are the same"),
        ("old=db&new=dbx", "Select a valid choice"),
        ("old=db", "This field is required"),
    ],
)
def test_wrong_value_is_400_with_reason(db: None, query: str, message: str) -> None:
    page = get_page(browser(), f"/switch/?{query}", status=400)
    assert message in page
    assert "scripts/run" not in page


@on("file", "cache")
def test_page_shows_current_handover(
    profile: str, settings: Settings, ada: User, admin: User
) -> None:
    settings.SESSION_HANDOVER_FROM = "db"
    page = get_page(browser(ada))
    assert f"This site runs on <code>{profile}</code>." in page
    assert "It takes over the sessions of <code>db</code>." in page
    assert f"movesessions --from db --to {profile}" in page
    assert "Sessions left" not in page
    assert "Sessions left in its store, including expired ones: 0." in get_page(browser(admin))


def test_page_explains_why_remaining_sessions_cannot_be_counted(
    settings: Settings, admin: User
) -> None:
    settings.SESSION_HANDOVER_FROM = "signed_cookies"
    assert "each is kept by its browser alone" in get_page(browser(admin))
