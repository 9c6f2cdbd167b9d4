"""The four questions describe the cookie of the values in the page's address, set or deleted."""

import html
from datetime import UTC, datetime

import pytest
import time_machine
from django.test import Client
from pytest_django import Settings

from demo.four_questions.answers import Answers, NoAnswers


def answers(client: Client, page: str) -> Answers:
    found = client.get(page).context["answers"]
    assert isinstance(found, Answers)
    return found


@pytest.mark.parametrize(
    ("route", "is_deleted"),
    [
        ("reading/delete/", True),
        ("reading/delete/?name=flavor", True),
        ("reading/delete-elsewhere/", False),
        ("reading/delete-elsewhere/?path=/", True),
        ("limits/delete-twin/", True),
        ("limits/which-twin/", False),
        ("cookies/max-age/?max_age=0", True),
        ("cookies/attributes/?max_age=0", True),
        # Browsers drop this deletion.
        ("cookies/attributes/?max_age=0&samesite=None", False),
    ],
)
def test_only_a_recipe_that_deletes_the_cookie_ends_it(
    route: str, is_deleted: bool, client: Client, db: None
) -> None:
    found = answers(client, f"/recipes/{route}")
    assert ("after this recipe has deleted it" in found.about) == is_deleted
    assert (found.end == ["It has ended."]) == is_deleted
    assert bool(found.left) == is_deleted
    assert bool(found.events) != is_deleted


def test_deleted_cookie_is_named_and_so_is_the_other_one(client: Client, db: None) -> None:
    found = answers(client, "/recipes/limits/delete-twin/")
    assert found.about == "The cookie twin for /limits/, after this recipe has deleted it."
    assert found.left.endswith("The cookie twin for / stays.")
    about = answers(client, "/recipes/reading/delete-elsewhere/").about
    assert about.startswith("The cookie color (Path=/), as the recipe “Name and value” sets it.")
    assert about.endswith("This recipe deletes color for /elsewhere/, which is another cookie.")


def test_copy_of_a_deleted_cookie_is_taken_for_the_cookie(client: Client, db: None) -> None:
    client.get("/cookies/set-cookie/")
    copy = client.cookies["color"].value
    client.get("/reading/delete/")
    left = answers(client, "/recipes/reading/delete/").left
    assert "and this site cannot tell" in left
    client.cookies["color"] = copy
    assert client.get("/reading/by-name/").content == b"color is blue\n"


@pytest.mark.parametrize(
    ("query", "about", "end"),
    [
        ("max_age=5", "Max-Age=5;", "5 seconds after it was set. "),
        ("max_age=5&httponly=on", "HttpOnly; Max-Age=5;", "5 seconds after"),
        ("path=/x/", "Path=/x/;", "1 minute after it was set. "),
        ("name=flavor", "The cookie flavor (", "1 minute after it was set. "),
        # A wrong value: the example's instead.
        ("max_age=5&name=a b", "The cookie color (", "1 minute after it was set. "),
        ("max_age=soon", "Max-Age=60;", "1 minute after it was set. "),
    ],
)
def test_box_is_about_the_values_in_the_address(
    query: str, about: str, end: str, client: Client, db: None
) -> None:
    page = f"/recipes/cookies/attributes/?{query}"
    found = answers(client, page)
    assert about in found.about
    assert found.end[0].startswith(end)
    is_hidden = "Scripts cannot read the cookie (HttpOnly)." in found.read
    assert is_hidden == ("httponly" in query)


def test_form_and_curl_have_the_values_in_the_address(client: Client, db: None) -> None:
    page = html.unescape(
        client.get("/recipes/cookies/attributes/?max_age=5&secure=on&httponly=").content.decode()
    )
    assert 'name="max_age" value="5"' in page
    assert "--data-urlencode 'max_age=5'" in page
    assert "--data-urlencode 'secure=on'" in page
    assert "--data-urlencode 'httponly" not in page


def test_box_names_the_reason_for_which_the_chosen_cookie_is_dropped(
    client: Client, db: None
) -> None:
    page = client.get("/recipes/cookies/attributes/?samesite=None").context["answers"]
    assert isinstance(page, NoAnswers)
    assert page.why.endswith("SameSite=None needs Secure.")


def test_cookie_that_the_other_recipe_does_not_set(client: Client, db: None) -> None:
    page = client.get("/recipes/reading/by-name/?name=__Host-color").context["answers"]
    assert isinstance(page, NoAnswers)
    assert "The recipes under “Prefixes of names” set such cookies." in page.why


def test_address_fills_in_no_form_that_is_posted(client: Client, db: None) -> None:
    page = client.get("/recipes/auth/sign-in/?username=eve&password=guess").content.decode()
    assert 'value="eve"' not in page
    assert 'value="guess"' not in page


@pytest.mark.parametrize(
    "query", ["reading/delete/?name=flavor", "cookies/max-age/?max_age=-5&name=flavor"]
)
def test_box_of_a_deletion_says_whether_the_browser_has_the_cookie(
    query: str, client: Client, db: None
) -> None:
    deleted = "The cookie flavor, after this recipe has deleted it."
    absent = "This browser has no cookie flavor now. If it had one, this is about that one."
    assert answers(client, f"/recipes/{query}").about == f"{absent} {deleted}"
    client.get("/cookies/set-cookie/?name=flavor")
    assert answers(client, f"/recipes/{query}").about == deleted


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("path=/", "twin for example.test"),
        ("path=/limits/", "twin for example.test/limits/"),
    ],
)
def test_deletion_for_a_domain_names_it(query: str, name: str, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = [".example.test"]
    client = Client(headers={"host": "shop.example.test"})
    found = answers(client, f"/recipes/limits/delete-twin/?{query}&domain=example.test")
    assert f"This recipe deletes {name}, which is another cookie." in found.about


@pytest.mark.parametrize("is_set", [False, True])
@pytest.mark.parametrize(
    ("query", "seconds", "time"),
    [("", 3600, "1 hour"), ("?max_age=90", 90, "1 minute, 30 seconds")],
)
def test_box_names_the_age_that_the_reader_checks(
    query: str, seconds: int, time: str, is_set: bool, client: Client, db: None
) -> None:
    now = datetime(2026, 5, 4, 12, tzinfo=UTC)
    with time_machine.travel(now, tick=False) as clock:
        if is_set:
            client.get("/signed/sign/")
        end = answers(client, f"/recipes/signed/read/{query}").end
        assert end == [
            "When the browser closes: it has no age.",
            f"This recipe accepts it for {time} after it was signed (max_age).",
        ]
        if is_set:
            clock.shift(seconds)
            assert client.get(f"/signed/read/{query}").status_code == 200
            clock.shift(1)
            assert client.get(f"/signed/read/{query}").status_code == 400


@pytest.mark.parametrize("max_age", ["0", "-5"])
def test_deletion_elsewhere_accepts_no_signature(max_age: str, client: Client, db: None) -> None:
    query = f"max_age={max_age}&path=/session/"
    found = answers(client, f"/recipes/cookies/attributes/?{query}")
    assert "accepts it" not in " ".join(found.end)
    assert "accepts it" in " ".join(answers(client, "/recipes/signed/read/").end)
