"""A recipe's page says of each Set-Cookie line what the browser made of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.utils.translation import gettext, override
from playwright.sync_api import Page, Route, expect

from demo.wire import bound_cookie_names
from tests import certificates
from tests.conftest import copied
from tests.servers import served
from tests.sites import ROOT, python

from .recipe_page import jar, run

pytestmark = pytest.mark.long

KEPT, DELETED = "Kept.", "Deleted."
AT_CLOSE = "It ends when the browser closes."
UNSEEN = "Scripts cannot see whether it was stored again."
SAME = f"It is there, as it was before. {AT_CLOSE}"
SAME_UNSEEN = f"It is there, with the same value. {AT_CLOSE} {UNSEEN}"
NOTHING_SENT = (
    "Nothing was deleted. The browser sends no such cookie. This page cannot see whether it has a "
    "Secure one: over http that is neither sent nor deleted."
)
NO_REASON = "Not kept. The browser gives no reason."
SAMESITE = "Not kept. SameSite=None needs Secure."

USE_LINES = """lines => {
    const form = document.querySelector("form[data-recipe]");
    form.action = "/lines/";
    form.replaceChildren(form.querySelector("button"), ...lines.map(([name, value]) => {
        const field = document.createElement("input");
        Object.assign(field, {type: "hidden", name, value});
        return field;
    }));
}"""


@dataclass
class Sites:
    """One site by http and by https. Browsers keep one jar for both, since ports do not count."""

    http: str
    https: str

    def at(self, scheme: str, host: str) -> str:
        return getattr(self, scheme).replace("127.0.0.1", host)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, demo_database: Path) -> Iterator[Sites]:
    folder = tmp_path_factory.mktemp("site")
    certificate = str(certificates.make(folder))
    command = python(
        *("-m", "gunicorn", "tests.browser.lines_site", "--chdir", str(ROOT), "--threads", "4"),
        *("--limit-request-line", "8190"),
        ALLOWED_HOSTS="127.0.0.1,localhost,.plain.test",
        DATABASE_URL=copied(demo_database, folder),
    )
    tls = ["--certfile", certificate, "--keyfile", certificate]
    with (
        served(lambda port: [*command, "--bind", f"127.0.0.1:{port}"]) as http,
        served(lambda port: [*command, *tls, "--bind", f"127.0.0.1:{port}"]) as https,
    ):
        yield Sites(f"http://127.0.0.1:{http}", f"https://127.0.0.1:{https}")


@pytest.fixture
def browser_context_args(sites: Sites) -> dict[str, Any]:
    return {"base_url": sites.http, "ignore_https_errors": True}


def verdicts(page: Page, *lines: str, **others: str) -> list[str]:
    """Run a recipe that answers with these Set-Cookie lines, and return their verdicts."""
    page.evaluate(USE_LINES, [*(("line", line) for line in lines), *others.items()])
    status = page.locator("[data-status]")
    status.evaluate("status => status.className = ''")
    page.click("form[data-recipe] button")
    expect(status).to_have_class(re.compile("good|warning"))
    return shown(page)


def shown(page: Page) -> list[str]:
    texts = page.locator(".set-cookie [data-verdict]").all_inner_texts()
    # The result repeats the first ones.
    repeated = page.locator("[data-verdicts] li span").all_inner_texts()
    assert repeated == texts[: len(repeated)]
    assert len(repeated) == min(len(texts), 4)
    return texts


@pytest.fixture
def recipe(page: Page) -> Page:
    page.goto("/recipes/cookies/set-cookie/")
    return page


CASES: dict[str, tuple[list[str], list[str]]] = {
    "session cookie": (["a=1; Path=/"], [KEPT]),
    "HttpOnly": (["a=1; Path=/; HttpOnly; SameSite=Strict; Max-Age=60"], [KEPT]),
    "another path": (["a=1; Path=/x/y"], [KEPT]),
    "path of another host": (["a=1; Path=//other.test/x"], [KEPT]),
    "no path": (["a=1; Path=noslash"], [KEPT]),
    "longest age": (["a=1; Path=/; Max-Age=34560000"], [KEPT]),
    "longer age": (
        ["a=1; Path=/; Max-Age=40000000"],
        ["Kept, but changed: it asked for 463 days and got 400."],
    ),
    "longer age, by date": (
        ["a=1; Path=/; Expires=Fri, 31 Dec 9999 23:59:59 GMT"],
        [r"Kept, but changed: it asked for \d{7} days and got 400."],
    ),
    "longer age, hidden": (
        ["a=1; Path=/; HttpOnly; Max-Age=40000000"],
        ["Kept. It asked for 463 days. Browsers keep a cookie for at most 400"],
    ),
    "no cookie to delete": (["a=; Path=/; Max-Age=0"], ["The browser had no such cookie."]),
    "other domain": (
        ["a=1; Domain=other.test"],
        ["Not kept. 127.0.0.1 is an IP address, so it has no domain other.test."],
    ),
    "own address": (["a=1; Domain=127.0.0.1"], [KEPT]),
    "SameSite=None": (["a=1; SameSite=None"], [SAMESITE]),
    "SameSite=None, Secure": (["a=1; SameSite=None; Secure"], [KEPT]),
    "Partitioned": (["a=1; Partitioned"], ["Not kept. Partitioned needs Secure."]),
    "Partitioned, Secure": (["a=1; Path=/; Partitioned; Secure"], [KEPT]),
    "prefix": (
        ["__Host-a=1; Secure"],
        ["Not kept. The prefix __Host- of its name requires Path=/."],
    ),
    "prefix with its attributes": (["__Host-a=1; Secure; Path=/"], [KEPT]),
    "4,096 bytes": ([f"a={'x' * 4095}"], [KEPT]),
    "4,097 bytes": ([f"a={'x' * 4096}"], ["Not kept. Name and value have 4097 bytes"]),
    "no name": (["=a"], [KEPT]),
    "neither name nor value": (["="], ["Not kept. It has neither a name nor a value."]),
    "a rule that this site does not know": (["a=1; Path=/; Domain=127.0.0.1."], ["Not kept."]),
    "one name twice": (
        ["a=1; Path=/", "a=2; Path=/"],
        ["A later line of this run replaced it.", KEPT],
    ),
    "set and deleted": (
        ["a=1; Path=/", "a=; Path=/; Max-Age=0"],
        ["A later line of this run replaced it.", DELETED],
    ),
    "one name twice, the later one dropped": (
        ["a=1; Path=/", "a=2; Path=/; SameSite=None"],
        [KEPT, SAMESITE],
    ),
    "two paths": (["a=1; Path=/", "a=1; Path=/x/"], [KEPT, KEPT]),
    "two paths, one above the other": (
        ["a=1; Path=/x", "a=1; Path=/x/y; SameSite=None"],
        [KEPT, SAMESITE],
    ),
    "set, and deleted for a path that begins alike": (
        ["a=1; Path=/x", "a=; Path=/xy; Max-Age=0"],
        [KEPT, "The browser sends no such cookie now."],
    ),
    "two paths, one dropped": (["a=1; Path=/", "a=1; Path=/x/; SameSite=None"], [KEPT, SAMESITE]),
    "set and deleted elsewhere": (
        ["a=1; Path=/", "a=; Path=/x/; Max-Age=0"],
        [KEPT, "This run sets another cookie of this name too"],
    ),
    "path that cannot be asked": (["a=1; Path=/x?y"], ["This page cannot see"]),
    "many": ([f"c{number}=1" for number in range(6)], [KEPT] * 6),
}


@pytest.mark.parametrize("case", CASES)
def test_verdict_on_an_empty_jar(case: str, recipe: Page) -> None:
    lines, expected = CASES[case]
    texts = verdicts(recipe, *lines)
    assert len(texts) == len(expected)
    for text, pattern in zip(texts, expected, strict=True):
        assert re.search(pattern, text), text
    is_bad = any(text.startswith(("Not", "Nothing")) for text in texts)
    expect(recipe.locator("[data-status]")).to_have_class(
        f"status {'warning' if is_bad else 'good'}"
    )


def test_cookie_that_was_there_before(recipe: Page) -> None:
    """What the browser did is unknown, unless a rule says it, or its age has changed."""
    for line in ("a=1; Path=/", "b=1; Path=/; HttpOnly", "c=1; Path=/x/"):
        assert verdicts(recipe, line) == [KEPT]
        # Only the first of the three is in the Cookie Store, for this page's address.
        assert verdicts(recipe, line) == [SAME if line[0] == "a" else SAME_UNSEEN]
        [text] = verdicts(recipe, f"{line}; SameSite=None")
        assert text == f"Probably n{SAMESITE[1:]} A cookie of this name and value was there before."
        expect(recipe.locator("[data-status]")).to_have_text(
            f"200 OK · the browser probably did not keep {line[0]}"
        )
        assert verdicts(recipe, line.replace("=1", "=2")) == [KEPT]
        assert verdicts(recipe, f"{line}; Max-Age=0") == [DELETED]
        assert verdicts(recipe, f"{line}; Max-Age=0")[0].startswith("Nothing was deleted")
    assert verdicts(recipe, "d=1; Path=/; Max-Age=100") == [KEPT]
    [text] = verdicts(recipe, "d=1; Path=/; Max-Age=200")
    assert re.sub(MOMENT, "…", text) == "Kept, with the same value. It ends on … UTC."
    assert abs(moment_in(text) - recipe.context.cookies()[0]["expires"]) <= 1


MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}"


def moment_in(text: str) -> float:
    """Return the only time in the text, which is in UTC."""
    [moment] = re.findall(MOMENT, text)
    return datetime.fromisoformat(f"{moment}+00:00").timestamp()


def test_same_cookie_of_the_path_above_is_no_proof(recipe: Page) -> None:
    """It is sent to the path below as well, where one more was asked for."""
    verdicts(recipe, "known=1; Path=/x/")
    lines = ["a=1; Path=/", "a=1; Path=/x/; SameSite=None"]
    assert verdicts(recipe, *lines) == [KEPT, SAMESITE]
    assert verdicts(recipe, "b=1; Path=/", "b=1; Path=/x/") == [KEPT, KEPT]


def test_deletion_that_the_browser_refuses(recipe: Page) -> None:
    verdicts(recipe, "a=1; Path=/")
    [text] = verdicts(recipe, "a=; Path=/; Max-Age=0; SameSite=None")
    assert text == "Nothing was deleted. SameSite=None needs Secure."
    assert "a" in jar(recipe.context)


def test_what_many_lines_have_in_common_is_said_once(recipe: Page) -> None:
    lines = [f"n{number}=1; Path=/lines/" for number in range(1, 21)]
    assert verdicts(recipe, *lines) == [KEPT] * 20
    said = recipe.locator(".set-cookie [data-verdict]:visible")
    expect(said).to_have_text([KEPT])
    expect(recipe.locator(".set-cookie [data-alike]:visible")).to_have_text(
        "The same for 20 lines, from n1 to n20:"
    )
    expect(recipe.locator(".set-cookie code")).to_have_text(
        [f"n{number}=1" for number in range(1, 21)]
    )
    verdicts(recipe, "a=1; Path=/", "b=1; Path=/", "c=1; Path=/")
    expect(said).to_have_text([KEPT] * 3)


def test_lines_of_redirects_are_judged_in_their_order(recipe: Page) -> None:
    last = f"/lines/?line={quote('a=3; Path=/')}&line={quote('b=1; SameSite=None')}"
    middle = f"/lines/?line={quote('a=2; Path=/')}&then={quote(last)}"
    texts = verdicts(recipe, "a=1; Path=/", then=middle)
    assert texts == ["A later line of this run replaced it."] * 2 + [KEPT, SAMESITE]
    expect(recipe.locator("[data-status]")).to_have_text(
        "200 OK · /lines/ · the browser did not keep b"
    )


def test_clear_site_data_is_shown(recipe: Page) -> None:
    verdicts(recipe, "a=1; Path=/")
    assert verdicts(recipe, clear='"cookies"') == []
    expect(recipe.locator("[data-answer]")).to_have_text('200 OK\nClear-Site-Data: "cookies"')
    expect(recipe.locator("[data-wire] [data-none]")).to_be_hidden()
    assert jar(recipe.context) == {}


def test_jar_that_is_full(recipe: Page) -> None:
    """Chromium keeps up to 180 cookies of a site, and then removes the oldest."""
    texts = verdicts(recipe, *(f"c{number}=1; Path=/" for number in range(200)))
    removed = 200 - len(recipe.context.cookies())
    assert removed
    assert texts[removed:] == [KEPT] * len(texts[removed:])
    for text in texts[:removed]:
        assert text.startswith("Not kept. The browser gives no reason. This page sees 1")
    expect(recipe.locator("[data-status]")).to_have_text(
        "200 OK · the browser did not keep c0, c1, c2, c3, …"
    )


def test_verdicts_over_plain_http(page: Page, sites: Sites) -> None:
    """Without https from another host there is no Cookie Store API either."""
    page.goto(f"{sites.at('http', 'shop.plain.test')}/recipes/cookies/set-cookie/")
    assert page.evaluate("window.cookieStore === undefined")
    over_http = "A Secure cookie can be set over https only, except by this machine itself."
    for line, text in {
        "a=1; Path=/": KEPT,
        "b=1; Secure": f"Not kept. {over_http}",
        "__Host-b=1; Secure; Path=/": f"Not kept. {over_http}",
        "c=1; Domain=plain.test": KEPT,
        "d=1; Domain=a.shop.plain.test": (
            "Not kept. shop.plain.test may not set cookies for the domain a.shop.plain.test."
        ),
        "e=1; Path=/; Max-Age=34560000": KEPT,
        "a=; Path=/; Max-Age=0": DELETED,
        "f=; Path=/; Max-Age=0": NOTHING_SENT,
    }.items():
        assert verdicts(page, line) == [text], line


def test_secure_cookie_protects_its_name_over_http(page: Page, sites: Sites) -> None:
    page.goto(f"{sites.at('https', 'plain.test')}/recipes/cookies/set-cookie/")
    for line in ("a=1; Path=/; Secure", "__Host-b=1; Path=/; Secure", "c=1; Secure; SameSite=None"):
        assert verdicts(page, line) == [KEPT]
    [text] = verdicts(page, "d=1; Path=/; Domain=plain.test; Max-Age=40000000")
    assert text == "Kept, but changed: it asked for 463 days and got 400."
    page.goto(f"{sites.at('http', 'plain.test')}/recipes/cookies/set-cookie/")
    [text] = verdicts(page, "a=2; Path=/")
    assert text.startswith("Not kept. The browser gives no reason. One rule leaves no trace here")
    assert jar(page.context)["a"]["value"] == "1"
    assert verdicts(page, "a=; Path=/; Max-Age=0") == [NOTHING_SENT]
    assert "a" in jar(page.context)


def test_domain_that_is_the_host(page: Page, sites: Sites) -> None:
    """An address and a name without a dot have no domain: both lines are for the host alone."""
    for host in ("localhost", "127.0.0.1"):
        page.goto(f"{sites.at('http', host)}/recipes/limits/two-domains/")
        page.fill("[name=domain]", host)
        page.click("form[data-recipe] button")
        expect(page.locator("[data-status]")).to_have_class("status good")
        assert shown(page) == ["A later line of this run replaced it.", KEPT]
        assert jar(page.context)["twin"]["domain"] == host
        page.context.clear_cookies()


def test_session_cookie(page: Page) -> None:
    run(page, "sessions/set-item")
    assert shown(page) == [KEPT]
    run(page, "sessions/set-item", value="red")
    [text] = shown(page)
    assert re.sub(MOMENT, "…", text) == (
        f"It is there, with the same value. It ends on … UTC. {UNSEEN}"
    )
    assert abs(moment_in(text) - jar(page.context)["sessionid"]["expires"]) < 5
    run(page, "lifecycle/cycle-key")
    assert shown(page) == [KEPT]
    run(page, "lifecycle/flush")
    assert shown(page) == [DELETED]


def test_deleting_with_another_path(page: Page) -> None:
    run(page, "cookies/set-cookie")
    run(page, "reading/delete-elsewhere")
    assert shown(page) == [
        "Nothing was deleted. The cookie of this name has another path or domain, and stays."
    ]
    expect(page.locator("[data-status]")).to_have_text("200 OK · nothing was deleted: color")
    assert "color" in jar(page.context)
    run(page, "reading/delete")
    assert shown(page) == [DELETED]


def test_dropped_cookie_is_no_success(page: Page) -> None:
    """The status is announced to screen readers."""
    run(page, "cookies/attributes", domain="example.com")
    status = page.locator("[aria-live=polite] [data-status]")
    expect(status).to_have_text("200 OK · the browser did not keep color")
    expect(status).to_have_class("status warning")
    expect(page.locator("[data-verdicts]")).to_have_text(
        "color Not kept. 127.0.0.1 is an IP address, so it has no domain example.com."
    )
    assert "color" not in jar(page.context)
    run(page, "reading/by-name")
    expect(page.locator("[data-verdicts]")).to_be_hidden()


def test_verdict_in_chinese(page: Page, sites: Sites) -> None:
    language = {"name": "django_language", "value": "zh-hans", "url": sites.http}
    page.context.add_cookies([language])  # type: ignore[list-item]
    run(page, "cookies/attributes", samesite="None")
    with override("zh-hans"):
        reason = gettext("SameSite=None needs Secure.")
        status = gettext("the browser did not keep {names}").format(names="color")
        assert shown(page) == [gettext("Not kept. {reason}").format(reason=reason)]
    expect(page.locator("[data-status]")).to_have_text(f"200 OK · {status}")


# A line that sets a=1 with Path=/, as the server describes it.
LINE: dict[str, Any] = {"name": "a", "value": "1", "path": "/", "age": None, "reasons": []}


@pytest.mark.parametrize(
    ("line", "before", "after", "seconds", "kind"),
    [
        # The age is over when the page asks.
        ({"age": 2}, [], [], 3, "ended"),
        ({"age": 2}, [], [], 1, "dropped"),
        # The server did not answer, before the run or after it.
        ({}, [], None, 0, "unseen"),
        ({"age": 0}, [], None, 0, "unseen"),
        ({"reasons": ["no"]}, [], None, 0, "dropped"),
        ({"age": 0, "reasons": ["no"]}, [], None, 0, "undeleted"),
        ({}, None, ["1"], 0, "kept"),
        ({"reasons": ["no"]}, None, ["1"], 0, "earlier"),
        ({"age": 0}, None, [], 0, "absent"),
        # The server has cut one of the values, or both.
        ({"value": "x" * 100 + "…"}, [], ["x" * 200], 0, "kept"),
        ({"value": "x" * 200}, [], ["x" * 100 + "…"], 0, "kept"),
        ({"value": "x" * 200}, [], ["x" * 199], 0, "overwritten"),
        # A script has set another value meanwhile, or it was not seen before.
        ({}, ["0"], ["2"], 0, "overwritten"),
        ({}, ["2"], ["2"], 0, "dropped"),
        ({}, None, ["2"], 0, "dropped"),
    ],
)
def test_what_was_not_seen_is_not_claimed(
    line: dict[str, Any],
    before: list[str] | None,
    after: list[str] | None,
    seconds: int,
    kind: str,
    recipe: Page,
) -> None:
    verdict = recipe.evaluate(
        """async ([line, before, after, seconds]) => {
            const {judge} = await import("/static/demo/verdicts.js");
            const jar = (values) => {
                const cookies = values?.map((value) => ({name: "a", value}));
                return {sent: new Map([["/", cookies]]), stored: []};
            };
            const exchange = {set: [line], unlisted: []};
            return judge([exchange], jar(before), jar(after), seconds)[0].verdict;
        }""",
        [LINE | line, before, after, seconds],
    )
    assert verdict == {"kind": kind}


def others(page: Page) -> dict[str, str]:
    """Return by kind what the result says of cookies without a line."""
    items = page.locator("[data-verdicts] [data-change]")
    return {str(item.get_attribute("data-change")): item.inner_text() for item in items.all()}


def status_of(page: Page) -> str:
    return page.inner_text("[data-status]")


def during_a_run(page: Page, script: str, **options: Any) -> None:
    """Run a recipe whose request waits until the script has run, as another tab's does."""

    def change(route: Route) -> None:
        other.evaluate(script)
        route.continue_()

    with page.context.expect_page() as opened:
        page.evaluate("window.open('/engines/')")
    other = opened.value
    other.wait_for_load_state()
    page.bring_to_front()
    page.route("**/lines/?*", change)
    verdicts(page, *options.pop("lines", ["mine=1; Path=/"]), **options)
    page.unroute("**/lines/?*")


@pytest.mark.parametrize(
    ("script", "kind", "text"),
    [
        ("cookieStore.delete('a')", "gone", "a No longer there, and no line of this run deletes"),
        ("cookieStore.set('a', '2')", "changed", "a It has another value, and no line of this"),
        ("cookieStore.set('b', '1')", "new", "b It is new, and no line of this run sets it."),
        ("document.cookie = 'a=1; path=/; max-age=9000'", "attributes", "a It has the same value"),
        ("document.cookie = 'b=1; path=/lines/'", "new", "b (/lines/) It is new, and no line"),
    ],
)
def test_change_by_another_tab_is_named(script: str, kind: str, text: str, recipe: Page) -> None:
    verdicts(recipe, "a=1; Path=/; Max-Age=600", "unchanged=1; Path=/lines/")
    during_a_run(recipe, script)
    found = others(recipe)
    assert list(found) == [kind]
    assert found[kind].startswith(text)
    assert status_of(recipe) == f"200 OK · other cookies changed: {text[0]}"


@pytest.mark.parametrize("name", bound_cookie_names())
def test_renewal_of_a_bound_cookie_is_not_named(name: str, recipe: Page) -> None:
    line = quote(f"{name}=2; Path=/; Secure; HttpOnly; Max-Age=600")
    during_a_run(recipe, f"fetch('/lines/?line={line}')")
    assert jar(recipe.context)[name]["value"] == "2"
    assert others(recipe) == {}
    assert status_of(recipe) == "200 OK"


def test_change_of_an_httponly_cookie_by_another_response_is_named(recipe: Page) -> None:
    verdicts(recipe, "a=1; Path=/; HttpOnly", "b=1; Path=/lines/; HttpOnly")
    change = "fetch('/lines/?line=a%3D2;Path=/;HttpOnly&line=b%3D;Path=/lines/;Max-Age%3D0')"
    during_a_run(recipe, change)
    assert {
        kind: text.partition(" It ")[0].partition(" No ")[0]
        for kind, text in others(recipe).items()
    } == {
        "changed": "a",
        "gone": "b (/lines/)",
    }


def test_what_the_run_itself_does_is_not_named_twice(recipe: Page) -> None:
    for lines in (
        ["a=1; Path=/", "b=1; Path=/; HttpOnly", "c=1; Path=/lines/"],
        ["a=2; Path=/; Max-Age=1", "b=; Path=/; Max-Age=0", "c=2; Path=/lines/", "d=1; Path=/"],
        [*(f"n{number}=1; Path=/lines/" for number in range(40)), "a=1; SameSite=None"],
        [*(f"n{number}=; Path=/lines/; Max-Age=0" for number in range(40)), "c=3; Path=/lines/"],
    ):
        verdicts(recipe, *lines)
        assert others(recipe) == {}


def test_clear_site_data_names_what_it_deleted(recipe: Page) -> None:
    verdicts(recipe, "a=1; Path=/", "b=1; Path=/lines/; HttpOnly")
    texts = verdicts(recipe, "c=1; Path=/", clear='"cookies"')
    assert texts == ["Not there: Clear-Site-Data also deletes what the same response sets."]
    assert others(recipe) == {"cleared": "a, b (/lines/) Deleted by Clear-Site-Data."}
    expect(recipe.locator("[data-status]")).to_have_class("status good")


def test_line_that_the_browser_drops_does_not_explain_a_change(recipe: Page) -> None:
    verdicts(recipe, "a=1; Path=/")
    during_a_run(recipe, "cookieStore.set('a', '2')", lines=["a=3; Path=/; SameSite=None"])
    assert list(others(recipe)) == ["changed"]


def test_cookie_that_expires_during_a_run_is_named(recipe: Page) -> None:
    verdicts(recipe, "a=1; Path=/; Max-Age=3")
    wait = "new Promise((done) => setInterval(() => document.cookie.includes('a=') || done(), 50))"
    during_a_run(recipe, wait)
    assert others(recipe) == {"expired": "a No longer there: its age has ended."}


def test_session_cookie_that_is_pushed_out_is_named(page: Page) -> None:
    run(page, "auth/sign-in", username="ada", password="cookies")
    run(page, "limits/too-many", number="181")
    assert "sessionid" not in jar(page.context)
    found = others(page)
    assert list(found) == ["evicted"]
    assert re.match(
        r"(csrftoken, )?sessionid(, csrftoken)? No longer there, and no line of this run deletes "
        r"it\. This page sees 1[5-8][0-9] cookies of this site now\.",
        found["evicted"],
    )
    assert "other cookies changed: " in status_of(page)
    assert "sessionid" in status_of(page)


def test_dropped_cookie_has_no_notes_about_its_readers(recipe: Page) -> None:
    verdicts(recipe, "a=1; Path=/", "b=1; SameSite=None")
    notes = recipe.locator("[data-notes]")
    expect(notes.first).to_contain_text("scripts can read it")
    expect(notes.last).to_be_empty()


def test_curl_command_has_every_field(page: Page) -> None:
    page.goto("/recipes/cookies/attributes/")
    for field in ("name=color", "value=blue", "max_age=60", "path=/", "domain=", "samesite=Lax"):
        expect(page.locator("[data-curl]")).to_contain_text(f"--data-urlencode '{field}'")
    page.check("[name=secure]")
    expect(page.locator("[data-curl]")).to_contain_text("--data-urlencode 'secure=on'")


def test_token_of_django_is_explained_where_it_changes(page: Page) -> None:
    note = page.locator(
        "[data-verdicts] li", has_text="is a cookie of Django itself, not of the recipe"
    )
    run(page, "cookies/set-cookie")
    expect(note).to_have_count(0)
    run(page, "auth/sign-in", username="ada", password="cookies")
    expect(note).to_have_count(1)
    expect(note).to_contain_text("csrftoken")
