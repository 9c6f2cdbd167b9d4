"""Recipes in a real browser: with and without scripts, by keyboard, with wrong values."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from .conftest import sign_in

pytestmark = pytest.mark.long

# As Django's error page with DEBUG on.
ERROR: dict[str, Any] = {
    "status": 500,
    "content_type": "text/html",
    "body": "<header id=summary><h1>CookieTooLargeError\n at /</h1><pre class=exception_value>"
    "It is too large.</pre></header><main><h2>Traceback</h2></main>",
}


def run(page: Page, recipe: str = "", **fields: str) -> None:
    """Press the button, and wait for the response."""
    if recipe:
        page.goto(f"/recipes/{recipe}/")
    for name, value in fields.items():
        page.fill(f"[name={name}]", value)
    status = page.locator("[data-status]")
    # The response of an earlier run does not count.
    status.evaluate("status => status.className = ''")
    page.click("form[data-recipe] button")
    expect(status).to_have_class(re.compile("good|warning|wrong"))


def jar(page: Page, view: str) -> list[str]:
    """Return the lines of one of the three lists of cookies, without the CSRF token."""
    lines = page.locator(f"[data-jar={view}] li")
    expect(lines).not_to_have_count(0)
    return [text for text in lines.all_inner_texts() if not text.startswith("csrftoken")]


def test_run_shows_response_on_same_page(page: Page) -> None:
    run(page, "cookies/set-cookie", value="你好")
    expect(page.locator("[data-status]")).to_have_text("200 OK")
    expect(page.locator("[data-status]")).to_have_class("status good")
    expect(page.locator("[data-body]")).to_have_text(
        "The response sets color until the browser closes.\n"
    )
    assert page.url.endswith("/recipes/cookies/set-cookie/")


def test_page_stays_in_one_language_until_it_is_loaded_again(page: Page) -> None:
    page.goto("/recipes/cookies/language/")
    headings = page.locator("h2").all_inner_texts()
    run(page)
    expect(page.locator("[data-body]")).to_have_text(
        "The next page is in this language: 简体中文.\n"
    )
    # The jar is shown last, after the rest of the page has been updated.
    expect(page.locator("[data-jar=sent]")).to_contain_text("django_language")
    assert page.locator("h2").all_inner_texts() == headings
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    assert not set(page.locator("h2").all_inner_texts()) & set(headings)


def test_request_and_response_are_shown(page: Page) -> None:
    run(page, "cookies/set-cookie", value="red")
    run(page, "reading/all-cookies")
    wire = page.locator("[data-wire]")
    expect(wire.locator("[data-request]")).to_have_text("GET /reading/all-cookies/ HTTP/1.1")
    expect(wire.locator("[data-sent]")).to_have_text("\nCookie: color=red")
    expect(wire.locator("[data-none]")).to_be_visible()
    run(page, "cookies/max-age", value="blue", max_age="0")
    expect(wire.locator("[data-answer]")).to_have_text("200 OK")
    expect(wire.locator(".set-cookie code")).to_have_text("color=blue")
    expect(wire.locator("[data-bytes]")).to_have_text("Name and value: 9 of 4,096 bytes")
    expect(wire.locator("dl div", has_text="Max-Age=0")).to_contain_text("deletes the cookie now")
    expect(wire.locator("[data-trips]")).to_have_text("No round trip to the session store.")


def test_round_trips_are_shown_with_their_time(page: Page) -> None:
    run(page, "sessions/set-item")
    run(page, "sessions/set-item", value="red")
    expect(page.locator("[data-trips]")).to_have_text(
        re.compile(r"^2 round trips to the session store, [\d.]+ ms in total\.$")
    )


def test_round_trips_of_a_stream_are_said_to_be_those_before_its_body(page: Page) -> None:
    note = page.locator("[data-streamed]")
    run(page, "streaming/saved")
    expect(page.locator("[data-trips]")).to_contain_text("to the session store")
    expect(note).to_be_visible()
    run(page, "sessions/set-item")
    expect(page.locator("[data-trips]")).to_contain_text("to the session store")
    expect(note).to_be_hidden()


def test_engine_that_does_not_report_round_trips(page: Page) -> None:
    """The header is that for Django's engines: see tests/demo/test_wire.py."""
    empty_lists: dict[str, Any] = {
        name: [] for name in ("sent", "understood", "set", "unlisted", "keys")
    }
    exchange = empty_lists | {"request": "GET", "status": "200 OK", "location": None}
    header = json.dumps([exchange | {"trips": None, "milliseconds": 0, "streamed": True}])
    page.route("**/cookies/set-cookie/?*", lambda route: route.fulfill(headers={"Wire": header}))
    run(page, "cookies/set-cookie")
    expect(page.locator("[data-trips]")).to_have_text(
        "This engine does not count its round trips to the store."
    )
    expect(page.locator("[data-streamed]")).to_be_hidden()


def test_redirect_is_shown_as_two_exchanges(page: Page) -> None:
    run(page, "cookies/on-a-redirect")
    responses = page.locator("[data-answer]")
    expect(responses).to_have_text(["302 Found\nLocation: /reading/all-cookies/", "200 OK"])
    expect(page.locator("[data-sent]").last).to_have_text("\nCookie: color=blue")


def test_keys_are_shortened_until_whole_ones_are_chosen(page: Page) -> None:
    run(page, "sessions/set-item")
    [key] = [
        cookie.get("value", "")
        for cookie in page.context.cookies()
        if cookie.get("name") == "sessionid"
    ]
    token = page.evaluate("document.cookie").removeprefix("csrftoken=")
    elements = [page.locator(f"[data-jar={view}]") for view in ("sent", "understood")]
    elements.append(page.locator(".set-cookie code"))
    for element in elements:
        expect(element).to_contain_text(f"{key[:8]}…")
    assert key not in page.inner_text("main")
    assert token not in page.inner_text("main")
    page.check("[data-whole]")
    for element in elements:
        expect(element).to_contain_text(key)
    expect(page.locator("[data-jar=scripts]")).to_contain_text(token)
    page.uncheck("[data-whole]")
    assert key not in page.inner_text("main")


def test_key_in_url_is_shortened(page: Page) -> None:
    run(page, "in-path/begin")
    path = urlsplit(str(page.get_attribute("[data-open]", "href"))).path
    [_, _, key, _, _] = path.split("/")
    shortened = f"/in-path/{key[:8]}…/kitchen/"
    for selector in ("[data-status]", "[data-answer] >> nth=0", "[data-request] >> nth=1"):
        expect(page.locator(selector)).to_contain_text(shortened)
    page.check("[data-whole]")
    expect(page.locator("[data-request]").last).to_contain_text(path)


def test_curl_command_has_no_password(page: Page) -> None:
    page.goto("/recipes/auth/sign-in/")
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", "cookies")
    expect(page.locator("[data-curl]")).to_contain_text("username=ada")
    assert "cookies" not in str(page.text_content("[data-curl]")).replace("/cookies/", "")


def test_cookies_are_shown_in_three_lists(page: Page) -> None:
    page.goto("/recipes/cookies/set-cookie/")
    lists = [
        page.locator(f"[data-jar={cookie_list}]")
        for cookie_list in ("sent", "scripts", "understood")
    ]
    for cookie_list in lists:
        expect(cookie_list).to_have_text("none")
    run(page, value="é")
    for cookie_list in lists:
        expect(cookie_list).to_have_text("color=%C3%A9")
    page.evaluate("document.cookie = 'color=é; path=/'")
    for cookie_list in lists:
        expect(cookie_list).to_have_text("color=é")
    page.evaluate("document.cookie = 'bare; path=/'")
    for cookie_list in lists:
        expect(cookie_list).to_contain_text("bare")
        expect(cookie_list).not_to_contain_text("bare=")


def test_cookie_set_by_script_is_shown(page: Page) -> None:
    page.goto("/recipes/cookies/set-cookie/")
    page.evaluate("document.cookie = 'by=hand; path=/'")
    expect(page.locator("[data-jar=understood]")).to_have_text("by=hand")


def test_httponly_cookie_is_shown_as_hidden_from_scripts(page: Page) -> None:
    page.goto("/recipes/cookies/attributes/")
    page.check("[name=httponly]")
    run(page)
    expect(page.locator("[data-jar=sent]")).to_have_text("color=blue")
    expect(page.locator("[data-jar=scripts]")).to_have_text("color HttpOnly: hidden from scripts")
    assert page.evaluate("document.cookie") == ""


def test_cookies_of_other_paths_are_named_apart(page: Page) -> None:
    elsewhere = page.locator("[data-other-paths]")
    run(page, "limits/two-paths")
    expect(elsewhere).to_have_text(
        "Cookies of other paths that this page knows of: 1. twin (/limits/)"
    )
    assert jar(page, "sent") == ["twin=of-the-site"]
    page.goto("/recipes/limits/which-twin/")
    expect(elsewhere).to_have_text(
        "Cookies of other paths that this page knows of: 1. twin (/limits/)"
    )
    page.goto("/recipes/cookies/set-cookie/")
    expect(page.locator("[data-jar=sent]")).to_contain_text("twin=of-the-site")
    expect(elsewhere).to_be_hidden()


def test_header_shows_sign_in_and_sign_out(page: Page) -> None:
    header = "#state"
    page.goto("/recipes/auth/sign-in/")
    expect(page.locator(header)).to_contain_text("nobody")
    expect(page.locator(header)).to_contain_text("none yet")
    run(page, username="ada", password="cookies")
    expect(page.locator("[data-body]")).to_contain_text("welcome ada")
    expect(page.locator(header)).to_contain_text("ada")
    expect(page.locator(header)).to_contain_text("expires")
    run(page, "auth/sign-out")
    expect(page.locator(header)).to_contain_text("nobody")
    run(page)
    expect(page.locator("[data-status]")).to_contain_text("200 OK")


def test_expired_session_disappears_from_page(page: Page) -> None:
    """Scripts cannot see that its cookie is deleted."""
    run(page, "expiry/in-seconds", seconds="2")
    expect(page.locator("#state")).to_contain_text("expires")
    expect(page.locator("#state")).to_contain_text("none yet", timeout=10_000)
    expect(page.locator("[data-jar=sent]")).not_to_contain_text("sessionid")


def test_sign_out_in_another_tab_is_shown(page: Page) -> None:
    run(page, "auth/sign-in", username="ada", password="cookies")
    expect(page.locator("#state")).to_contain_text("ada")
    other_tab = page.context.new_page()
    run(other_tab, "auth/sign-out")
    expect(page.locator("#state")).to_contain_text("nobody")
    expect(page.locator("[data-jar=sent]")).not_to_contain_text("sessionid")


def test_later_run_is_shown_if_earlier_one_ends_last(page: Page) -> None:
    page.goto("/recipes/cookies/set-cookie/")
    delayed: list[Route] = []

    def delay(route: Route) -> None:
        delayed.append(route)

    page.route("**/cookies/set-cookie/?name=color&value=slow", delay)
    page.fill("[name=value]", "slow")
    page.click("form[data-recipe] button")
    expect(page.locator("[data-curl]")).to_contain_text("slow")
    run(page, value="quick")
    assert delayed
    with page.expect_response(lambda response: "value=slow" in response.url):
        delayed[0].continue_()
    expect(page.locator("[data-jar=sent]")).to_have_text("color=slow")
    expect(page.locator("[data-request]")).to_contain_text("quick")


def test_failed_run_removes_previous_exchange(page: Page) -> None:
    run(page, "cookies/set-cookie")
    expect(page.locator(".exchange")).to_have_count(1)
    page.route("**/*", lambda route: route.abort())
    run(page)
    expect(page.locator(".exchange")).to_have_count(0)
    expect(page.locator("[data-wire]")).to_have_text("Run it to see.")


def test_server_error_is_shown_as_text(page: Page) -> None:
    page.route("**/cookies/set-cookie/?*", lambda route: route.fulfill(**ERROR))
    run(page, "cookies/set-cookie")
    expect(page.locator("[data-body]")).to_have_text("CookieTooLargeError at /\nIt is too large.")
    expect(page.locator("[data-page]")).to_be_hidden()


def test_form_works_after_csrf_token_has_changed(page: Page) -> None:
    run(page, "auth/sign-in", username="ada", password="cookies")
    expect(page.locator("#state")).to_contain_text("ada")
    run(page)
    expect(page.locator("[data-status]")).to_contain_text("200 OK")


@pytest.mark.parametrize("recipe", ["expiry/every-setting", "lifecycle/side-by-side"])
def test_table_of_response_is_shown_as_table(recipe: str, page: Page) -> None:
    run(page, recipe)
    table = page.locator("[data-table] table")
    expect(table).to_be_visible()
    first_row = table.locator("tr:has(td)").first
    assert table.locator("th[scope=col]").count() == first_row.locator("th, td").count()
    body = page.text_content("[data-body]")
    assert "SESSION_ENGINE" not in str(body)
    assert "The recipe" not in str(body)
    assert (body == "") == (recipe == "expiry/every-setting")
    run(page, "cookies/set-cookie")
    expect(page.locator("[data-table]")).to_be_hidden()


def test_html_response_can_be_opened(page: Page, site: str) -> None:
    run(page, "expiry/every-setting")
    page.click("text=Open this page")
    assert page.url == f"{site}/expiry/every-setting/"


def test_wrong_value_is_shown_on_page(page: Page) -> None:
    run(page, "cookies/set-cookie", name="a b")
    expect(page.locator("[data-status]")).to_have_text("400 Bad Request")
    expect(page.locator("[data-status]")).to_have_class("status wrong")
    expect(page.locator("[data-body]")).to_contain_text(
        "name: A cookie's name may only contain ASCII"
    )
    assert page.context.cookies() == []
    assert page.input_value("[name=name]") == "a b"


def test_missing_response_is_shown_on_page(page: Page) -> None:
    page.goto("/recipes/cookies/set-cookie/")
    page.route("**/*", lambda route: route.abort())
    run(page)
    expect(page.locator("[data-status]")).to_contain_text("The site did not answer")
    expect(page.locator("[data-jar=sent] li")).to_have_text(["The site does not answer."])


@pytest.mark.parametrize(
    ("size", "verdict"), [(4096, "browsers keep it"), (4097, "browsers drop it")]
)
def test_cookie_over_4096_bytes_is_dropped(size: int, verdict: str, page: Page) -> None:
    run(page, "cookies/too-large", size=str(size - len("color")))
    expect(page.locator("[data-body]")).to_contain_text(verdict)
    assert bool(page.context.cookies()) == ("keep" in verdict)
    size_note = page.locator("[data-bytes]")
    expect(size_note).to_contain_text(
        "of 4,096 bytes" if "keep" in verdict else "the browser drops the cookie"
    )


def test_deleting_with_another_path_deletes_nothing(page: Page) -> None:
    run(page, "cookies/set-cookie")
    run(page, "reading/delete-elsewhere")
    assert len(page.context.cookies()) == 1
    run(page, "reading/delete")
    assert page.context.cookies() == []


def test_max_age_wins_over_expires(page: Page) -> None:
    run(page, "cookies/max-age-and-expires", max_age="0")
    assert page.context.cookies() == []


@pytest.mark.parametrize(
    ("recipe", "output"),
    [
        ("sessions/set-item", "color is set to it's $$ $& $' $`"),
        ("cookies/on-json", '"value": "it\'s $$ $& $\' $`"'),
    ],
)
def test_copied_curl_command_runs_in_a_shell(
    recipe: str, output: str, page: Page, tmp_path: Path
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/recipes/{recipe}/")
    page.fill("[name=value]", "it's $$ $& $' $`")
    page.click("text=Copy as curl")
    expect(page.locator("text=Copied")).to_be_visible()
    command = page.evaluate("navigator.clipboard.readText()")
    completed = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert output in completed.stdout, completed.stderr
    assert (tmp_path / "jar").exists()


def test_refused_copy_is_shown(page: Page) -> None:
    page.goto("/recipes/sessions/set-item/")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject() }")
    page.click("text=Copy as curl")
    expect(page.locator("text=The browser does not allow it")).to_be_visible()


def test_code_is_copied_as_shown(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/recipes/cookies/set-cookie/")
    page.click("text=Copy the code")
    expect(page.locator("text=Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith("def set_cookie(request")


def test_recipe_runs_by_keyboard(page: Page) -> None:
    page.goto("/recipes/sessions/set-item/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("[name=value]")
    page.keyboard.press("Enter")
    expect(page.locator("[data-status]")).to_have_text("200 OK")
    expect(page.locator("[data-body]")).to_contain_text("color is set to blue")


def test_response_opens_without_scripts(browser: Browser, site: str) -> None:
    context = browser.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/recipes/sessions/visits/")
    page.click("main form button")
    assert page.url == f"{site}/sessions/visits/"
    assert "Visit number 1." in page.content()
    context.close()


def test_sign_in_returns_to_requested_page(page: Page, site: str) -> None:
    page.goto("/auth/account/")
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", "cookies")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}/auth/account/")
    assert page.inner_text("h1") == "welcome ada"


def test_session_in_path_works_without_cookies(page: Page) -> None:
    run(page, "in-path/begin")
    page.click("text=Open this page")
    page.context.clear_cookies()
    page.click("main form button")
    page.click("text=Go to the pantry")
    assert "1 biscuit eaten" in page.inner_text("main")
    assert page.context.cookies() == []


def test_box_follows_a_run(page: Page) -> None:
    page.goto("/recipes/expiry/at-browser-close/")
    expect(page.locator("#answers")).not_to_contain_text("Before that, when the browser closes.")
    run(page)
    expect(page.locator("#answers")).to_contain_text("Before that, when the browser closes.")


@pytest.mark.parametrize("path", ["/leaving/page/", "/leaving/no-store-page/"])
def test_back_asks_the_server_if_the_browser_has_not_kept_the_page(path: str, page: Page) -> None:
    """This Chromium has no bfcache: tests/browser/test_leaving.py has one with it."""
    sign_in(page)
    page.goto(path)
    page.click("main button")
    page.wait_for_url("**/auth/sign-in/")
    page.go_back()
    expect(page.locator("h1")).to_have_text("Sign in")
