"""Recipes in a real browser: with its script, without, by keyboard, with a wrong value."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect


def run(page: Page, recipe: str = "", **fields: str) -> None:
    """Press the button, and wait for an answer."""
    if recipe:
        page.goto(f"/recipes/{recipe}/")
    for name, value in fields.items():
        page.fill(f"[name={name}]", value)
    status = page.locator("[data-status]")
    # Not the answer to an earlier run.
    status.evaluate("status => status.className = ''")
    page.click("form[data-recipe] button")
    expect(status).to_have_class(re.compile("good|wrong"))


def jar(page: Page, view: str) -> list[str]:
    """The lines of one of the three views of the cookies, less the site's own token."""
    listed = page.locator(f"[data-jar={view}] li")
    expect(listed).not_to_have_count(0)
    return [text for text in listed.all_inner_texts() if not text.startswith("csrftoken")]


def test_a_run_shows_its_answer_and_stays_on_the_page(page: Page) -> None:
    run(page, "cookies/set-cookie", value="你好")
    expect(page.locator("[data-status]")).to_have_text("200 OK")
    expect(page.locator("[data-status]")).to_have_class("status good")
    expect(page.locator("[data-body]")).to_have_text("color is set until the browser closes.\n")
    assert page.url.endswith("/recipes/cookies/set-cookie/")


def test_the_wire_shows_both_ways(page: Page) -> None:
    run(page, "cookies/set-cookie", value="red")
    run(page, "reading/all-cookies")
    wire = page.locator("[data-wire]")
    expect(wire.locator("[data-request]")).to_have_text("GET /reading/all-cookies/ HTTP/1.1")
    expect(wire.locator("[data-sent]")).to_have_text("\nCookie: color=red")
    expect(wire.locator("[data-none]")).to_be_visible()
    run(page, "cookies/max-age", value="blue", max_age="0")
    expect(wire.locator("[data-answer]")).to_have_text("200 OK")
    expect(wire.locator(".set-cookie code")).to_have_text("color=blue")
    expect(wire.locator("[data-bytes]")).to_have_text("9 of 4,096 bytes")
    expect(wire.locator("dl div", has_text="Max-Age=0")).to_contain_text("forgets it now")
    expect(wire.locator("[data-trips]")).to_have_text("No trip to the session store.")


def test_trips_to_the_store_are_told_with_their_time(page: Page) -> None:
    run(page, "sessions/set-item")
    run(page, "sessions/set-item", value="red")
    expect(page.locator("[data-trips]")).to_have_text(
        re.compile(r"^2 trips to the session store, [\d.]+ ms together\.$")
    )


def test_an_engine_that_does_not_tell_its_trips(page: Page) -> None:
    """As the server says it of Django's own: see tests/demo/test_wire.py."""
    exchange = {"request": "GET", "sent": [], "understood": [], "status": "200 OK", "set": []}
    told = json.dumps([exchange | {"location": None, "trips": None, "milliseconds": 0}])
    page.route("**/cookies/set-cookie/?*", lambda route: route.fulfill(headers={"Wire": told}))
    run(page, "cookies/set-cookie")
    expect(page.locator("[data-trips]")).to_have_text(
        "This engine does not tell its trips to the store."
    )


def test_a_redirect_is_shown_as_two_exchanges(page: Page) -> None:
    run(page, "cookies/on-a-redirect")
    answers = page.locator("[data-answer]")
    expect(answers).to_have_text(["302 Found\nLocation: /reading/all-cookies/", "200 OK"])
    expect(page.locator("[data-sent]").last).to_have_text("\nCookie: color=blue")


def test_keys_are_shown_in_part_until_asked_for(page: Page) -> None:
    run(page, "sessions/set-item")
    [key] = [
        cookie.get("value", "")
        for cookie in page.context.cookies()
        if cookie.get("name") == "sessionid"
    ]
    token = page.evaluate("document.cookie").removeprefix("csrftoken=")
    assert key not in page.inner_text("main")
    assert token not in page.inner_text("main")
    assert key[:8] in page.inner_text("main")
    page.check("[data-whole]")
    assert token in page.inner_text("[data-jar=scripts]")
    assert page.inner_text("main").count(key) == 3
    page.uncheck("[data-whole]")
    assert key not in page.inner_text("main")


def test_the_jar_is_shown_three_times(page: Page) -> None:
    page.goto("/recipes/cookies/set-cookie/")
    assert [jar(page, view) for view in ("sent", "scripts", "understood")] == [["none"]] * 3
    run(page, value="a b")
    expect(page.locator("[data-jar=sent]")).to_have_text("color=a%20b")
    assert [jar(page, view) for view in ("scripts", "understood")] == [["color=a%20b"]] * 2


def test_the_jar_follows_what_happens_elsewhere(page: Page) -> None:
    page.goto("/recipes/cookies/set-cookie/")
    page.evaluate("document.cookie = 'by=hand; path=/'")
    expect(page.locator("[data-jar=understood]")).to_have_text("by=hand")


def test_httponly_is_kept_and_not_seen(page: Page) -> None:
    page.goto("/recipes/cookies/attributes/")
    page.check("[name=httponly]")
    run(page)
    expect(page.locator("[data-jar=sent]")).to_have_text("color=blue")
    assert jar(page, "scripts") == ["color HttpOnly: not for scripts"]
    assert page.evaluate("document.cookie") == ""


def test_who_is_signed_in_is_always_in_view(page: Page) -> None:
    state = "#state"
    page.goto("/recipes/auth/sign-in/")
    expect(page.locator(state)).to_contain_text("nobody")
    expect(page.locator(state)).to_contain_text("none yet")
    run(page, username="ada", password="cookies")
    expect(page.locator("[data-body]")).to_contain_text("welcome ada")
    expect(page.locator(state)).to_contain_text("ada")
    expect(page.locator(state)).to_contain_text("expires")
    # Its token has changed with the sign-in, so a page that kept the old one could do no more.
    run(page, "auth/sign-out")
    expect(page.locator(state)).to_contain_text("nobody")
    run(page)
    expect(page.locator("[data-status]")).to_contain_text("200 OK")


def test_a_form_goes_on_after_the_token_has_changed(page: Page) -> None:
    run(page, "auth/sign-in", username="ada", password="cookies")
    expect(page.locator("#state")).to_contain_text("ada")
    run(page)
    expect(page.locator("[data-status]")).to_contain_text("200 OK")


def test_a_page_of_the_site_can_be_opened(page: Page, site: str) -> None:
    run(page, "expiry/every-setting")
    page.click("text=Open this page")
    assert page.url == f"{site}/expiry/every-setting/"


def test_a_wrong_value_is_told_on_the_page(page: Page) -> None:
    run(page, "cookies/set-cookie", name="a b")
    expect(page.locator("[data-status]")).to_have_text("400 Bad Request")
    expect(page.locator("[data-status]")).to_have_class("status wrong")
    expect(page.locator("[data-body]")).to_contain_text("name: A cookie's name takes ASCII")
    assert page.context.cookies() == []
    assert page.input_value("[name=name]") == "a b"


def test_a_site_that_does_not_answer_is_told_on_the_page(page: Page) -> None:
    page.goto("/recipes/cookies/set-cookie/")
    page.route("**/*", lambda route: route.abort())
    run(page)
    expect(page.locator("[data-status]")).to_contain_text("The site did not answer")
    assert jar(page, "sent") == ["The site does not answer."]


@pytest.mark.parametrize(
    ("size", "verdict"), [(4096, "browsers keep it"), (4097, "browsers drop it")]
)
def test_a_cookie_over_4096_bytes_is_dropped(size: int, verdict: str, page: Page) -> None:
    run(page, "cookies/too-large", size=str(size - len("color")))
    expect(page.locator("[data-body]")).to_contain_text(verdict)
    assert bool(page.context.cookies()) == ("keep" in verdict)
    told = page.locator("[data-bytes]")
    expect(told).to_contain_text("of 4,096 bytes" if "keep" in verdict else "the browser drops it")


def test_a_delete_with_another_path_deletes_nothing(page: Page) -> None:
    run(page, "cookies/set-cookie")
    run(page, "reading/delete-elsewhere")
    assert len(page.context.cookies()) == 1
    run(page, "reading/delete")
    assert page.context.cookies() == []


def test_max_age_wins_over_expires(page: Page) -> None:
    run(page, "cookies/max-age-and-expires", max_age="0")
    assert page.context.cookies() == []


@pytest.mark.parametrize(
    ("recipe", "answer"),
    [("sessions/set-item", "color is set to it's"), ("cookies/on-json", '"value": "it\'s"')],
)
def test_what_is_copied_runs_in_a_shell(
    recipe: str, answer: str, page: Page, tmp_path: Path
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/recipes/{recipe}/")
    page.fill("[name=value]", "it's")
    page.click("text=Copy as curl")
    expect(page.locator("text=Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    ran = subprocess.run(
        ["sh", "-c", copied], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert answer in ran.stdout, ran.stderr
    assert (tmp_path / "jar").exists()


def test_the_code_is_copied_as_it_is_shown(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/recipes/cookies/set-cookie/")
    page.click("text=Copy the code")
    expect(page.locator("text=Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith("def set_cookie(request")


def test_by_keyboard_alone(page: Page) -> None:
    page.goto("/recipes/sessions/set-item/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("[name=value]")
    page.keyboard.press("Enter")
    expect(page.locator("[data-status]")).to_have_text("200 OK")
    expect(page.locator("[data-body]")).to_contain_text("color is set to blue")


def test_without_a_script_the_raw_result_opens(browser: Browser, site: str) -> None:
    context = browser.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/recipes/sessions/visits/")
    page.click("main form button")
    assert page.url == f"{site}/sessions/visits/"
    assert "Visit number 1." in page.content()
    context.close()


def test_sign_in_and_come_back(page: Page, site: str) -> None:
    page.goto("/auth/account/")
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", "cookies")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}/auth/account/")
    assert page.inner_text("h1") == "welcome ada"


def test_biscuits_without_cookies(page: Page) -> None:
    run(page, "in-path/begin")
    page.click("text=Open this page")
    page.context.clear_cookies()
    page.click("main form button")
    page.click("text=Go to the pantry")
    assert "1 biscuit eaten" in page.inner_text("main")
    assert page.context.cookies() == []
