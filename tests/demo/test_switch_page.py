"""The page that explains a switch of engines."""

from itertools import permutations

import pytest
from django.test import Client
from pytest_django import Settings

from cookieproj.profiles import PROFILES
from demo.models import User
from tests.browsers import browser
from tests.conftest import on
from tests.families import IN_COOKIES


def get_page(client: Client, path: str = "/switch/", status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status
    return response.content.decode()


@pytest.mark.parametrize(("old", "new"), list(permutations(PROFILES, 2)))
def test_commands_of_each_switch(db: None, old: str, new: str) -> None:
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
