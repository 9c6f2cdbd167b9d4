"""The four questions: each answer is compared with what happens when it is done."""

import html
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import time_machine
from django.conf import settings as site_settings
from django.contrib.sessions.models import Session
from django.core.cache import caches as cache_connections
from django.core.signing import b64_decode
from django.db import connection
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import Settings

from cookieproj.engines.benchmark.result_cache import memory
from cookieproj.engines.constants import ENCRYPTED_COOKIE_PREFIX, OUR_ENGINES
from cookieproj.settings.caches import caches
from demo.four_questions.answers import Answers, Event, NoAnswers, merged
from demo.four_questions.cookie import when_it_ends
from demo.models import User
from demo.recipes import RECIPES
from demo.recipes.recipe import Subject
from demo.set_cookie import SetCookie
from demo.store_durability import Fate
from demo.wording import duration
from tests.browsers import again, browser, is_in, key_of
from tests.conftest import copied, on
from tests.families import IN_COOKIES
from tests.servers import StoppableRedis
from tests.sites import QUICK, running

NEW_KEY = "the key of next year, which is long enough to be one of a site"
COOKIE_RECIPES = [
    recipe
    for recipe in RECIPES.values()
    if recipe.subject in {Subject.PLAIN_COOKIE, Subject.SIGNED_COOKIE, Subject.COOKIE_WITH_OWN_KEY}
]

# With their forms' initial values.
HANDOVER = "a change to another engine with SESSION_HANDOVER_FROM, which takes sessions over"
NO_HANDOVER = "a change to another engine without SESSION_HANDOVER_FROM"
PUT_IN_PLACE = {
    "db": "Whoever can write to its store can put an older session, or another one, in its place.",
    "cached_db": "Whoever can write to the database can put an older session, or another one, in "
    "its place. Requests read that one once the cache has no copy.",
}
# On a host that is not this machine.
DROPPED = {"cookies/too-large", "prefixes/prefix", "payment/order-cookie"}
LONGEST = "400 days after it was set. Set now, it ends on 2027-06-08 12:00:00 UTC."


@pytest.fixture(autouse=True)
def debug(settings: Settings) -> None:
    settings.DEBUG = True
    memory.clear()


def visitor(user: User | None = None) -> Client:
    client = browser(user)
    client.post("/sessions/set-item/")
    return client


def answers(client: Client, path: str = "/session/") -> Answers:
    found: Any = again(client).get(path).context["answers"]
    assert isinstance(found, Answers)
    return found


def fates(client: Client, path: str = "/session/") -> dict[str, Fate]:
    return {event.what: event.fate for event in answers(client, path).events}


def has_color(client: Client) -> Fate:
    response = again(client).get("/sessions/get-item/")
    return Fate.KEPT if b"color is blue" in response.content else Fate.ENDED


def change_key(settings: Settings, *, keeps_old: bool) -> None:
    settings.SECRET_KEY_FALLBACKS = [site_settings.SECRET_KEY] if keeps_old else []
    settings.SECRET_KEY = NEW_KEY


def test_clearing_the_cache(profile: str, settings: Settings) -> None:
    client = visitor()
    expected = fates(client)
    if profile not in {"cache", "cached_db"}:
        assert "clearing the cache of sessions" not in expected
        return
    cache_connections["sessions"].clear()
    assert has_color(client) == expected["clearing the cache of sessions"]
    assert (has_color(client) == Fate.ENDED) == (profile == "cache")


def test_new_secret_key(profile: str, settings: Settings) -> None:
    clients = [visitor(), visitor()]
    expected = fates(clients[0])
    change_key(settings, keeps_old=True)
    kept = expected["a new SECRET_KEY, with the old one in SECRET_KEY_FALLBACKS"]
    assert has_color(clients[0]) == kept == Fate.KEPT
    settings.SECRET_KEY_FALLBACKS = []
    if profile == "cached_db":
        assert (
            has_color(clients[1]) == expected["a new SECRET_KEY alone, while the cache has a copy"]
        )
        cache_connections["sessions"].clear()
        assert has_color(clients[1]) == expected["a new SECRET_KEY alone, once it has none"]
    else:
        assert has_color(clients[1]) == expected["a new SECRET_KEY alone"]


def test_new_secret_key_ends_every_sign_in(profile: str, settings: Settings, ada: User) -> None:
    client = visitor(ada)
    assert fates(client)["a new SECRET_KEY alone"] == Fate.ENDED
    change_key(settings, keeps_old=False)
    assert not is_in(again(client))


def test_new_secret_key_refuses_signed_ids(
    settings: Settings, empty_stores: None, db: None
) -> None:
    settings.SESSION_ENGINE = f"{OUR_ENGINES}cache"
    assert fates(visitor())["a new SECRET_KEY alone"] == Fate.KEPT
    settings.SESSION_ID_SIGNED = True
    client = visitor()
    assert fates(client)["a new SECRET_KEY alone"] == Fate.ENDED
    change_key(settings, keeps_old=False)
    assert has_color(client) == Fate.ENDED


def test_another_engine(profile: str, settings: Settings, mongodb_url: str) -> None:
    settings.SESSION_MONGODB_URL = mongodb_url
    clients = [visitor(), visitor()]
    expected = fates(clients[0])
    old, new = settings.SESSION_ENGINE, "mongodb" if profile == "file" else "file"
    settings.SESSION_ENGINE = f"{OUR_ENGINES}{new}"
    [without] = [what for what in expected if what.startswith(NO_HANDOVER)]
    assert has_color(clients[0]) == expected[without] == Fate.ENDED
    settings.SESSION_HANDOVER_FROM = old
    assert has_color(clients[1]) == expected[HANDOVER]
    under_way = f"the change from {profile}, which is under way"
    assert fates(clients[1])[under_way] == Fate.KEPT


@on("db", "cached_db")
def test_engine_with_the_same_rows(profile: str, settings: Settings) -> None:
    client = visitor()
    assert f"{NO_HANDOVER}, unless both use the same rows" in fates(client)
    settings.SESSION_ENGINE = f"{OUR_ENGINES}{'db' if profile == 'cached_db' else 'cached_db'}"
    assert has_color(client) == Fate.KEPT


@on("cache", "cached_db")
@pytest.mark.parametrize("path", ["/session/", "/recipes/in-path/begin/"])
def test_cache_that_is_the_memory_of_the_process(
    path: str, profile: str, settings: Settings
) -> None:
    """What needs a restart, as a new SECRET_KEY does, ends the sessions there with it."""
    settings.CACHES = caches("locmem://")
    client = visitor()
    expected = fates(client, path)
    needing_restart = [what for what in expected if "SECRET_KEY" in what or "engine" in what]
    # As a restart does.
    cache_connections["sessions"].clear()
    if profile == "cache":
        assert needing_restart == ["a new SECRET_KEY or another engine: both need a restart"]
        assert has_color(client) == expected["a restart of the site"] == Fate.ENDED
        assert expected[needing_restart[0]] == Fate.ENDED
    else:
        assert has_color(client) == expected["a restart of the site"] == Fate.KEPT
        assert expected[HANDOVER] == Fate.KEPT
        change_key(settings, keeps_old=False)
        cache_connections["sessions"].clear()
        assert has_color(client) == expected["a new SECRET_KEY alone"] == Fate.ENDED


@pytest.mark.parametrize(
    ("old", "new", "is_named"), [("cache", "file", False), ("file", "cache", True)]
)
def test_change_that_is_under_way(
    old: str, new: str, is_named: bool, settings: Settings, empty_stores: None, db: None
) -> None:
    """From the memory of a process that has ended there is nothing to take over."""
    settings.CACHES = caches("locmem://")
    settings.SESSION_ENGINE = f"{OUR_ENGINES}{old}"
    client = visitor()
    cache_connections["sessions"].clear()
    settings.SESSION_ENGINE, settings.SESSION_HANDOVER_FROM = f"{OUR_ENGINES}{new}", old
    assert has_color(client) == (Fate.KEPT if is_named else Fate.ENDED)
    expected = fates(client)
    assert ("the change from file, which is under way" in expected) == is_named
    assert not [what for what in expected if "from cache" in what]


@pytest.mark.parametrize("check", ["cookieproj.devices.revocation.is_revoked", ""])
def test_signing_out(check: str, profile: str, settings: Settings, ada: User) -> None:
    settings.SESSION_REVOCATION_CHECK = check
    client = visitor(ada)
    expected, copy = fates(client), browser()
    copy.cookies["sessionid"] = key_of(client)
    client.post("/auth/sign-out/")
    assert not is_in(again(client))
    if is_in(copy):
        assert expected["signing out, in this browser"] == Fate.ENDED
        by = "signing out or flush()"
        assert expected[f"{by}, for somebody who has a copy of the cookie"] == Fate.KEPT
    else:
        by = "logout() or flush() after login()" if profile in IN_COOKIES else "signing out"
        assert expected[f"{by}, for every copy of the cookie too"] == Fate.ENDED
    assert is_in(copy) == (profile in IN_COOKIES and not check)


@pytest.mark.parametrize(
    ("signs_in", "path"),
    [
        ("", "/lifecycle/flush/"),
        ("/auth/by-hand-sign-in/", "/lifecycle/flush/"),
        ("/auth/by-hand-sign-in/", "/auth/by-hand-sign-out/"),
        ("/auth/sign-in/", "/lifecycle/flush/"),
        ("/auth/sign-in/", "/auth/sign-out/"),
    ],
)
def test_copy_of_the_cookie_after_a_sign_out(
    signs_in: str, path: str, profile: str, ada: User
) -> None:
    client = visitor()
    if signs_in:
        client.post(signs_in, {"username": "ada", "password": "cookies"})
    expected, end, copy = fates(client), answers(client).end[-1], browser()
    copy.cookies["sessionid"] = key_of(client)
    client.post(path)
    kept = has_color(copy)
    if not signs_in:
        by = "somebody who has a copy" if profile in IN_COOKIES else "every copy"
        suffix = " too" if by == "every copy" else ""
        assert kept == expected[f"flush(), for {by} of the cookie{suffix}"]
        assert ("a copy of the cookie stays valid" in end) == (kept == Fate.KEPT)
        assert "sign" not in end
        assert not any("password" in what or "sign" in what for what in expected)
    elif profile not in IN_COOKIES:
        assert kept == expected["signing out, for every copy of the cookie too"]
        assert end == "At once, when you sign out."
    elif signs_in == "/auth/sign-in/":
        assert (
            kept == expected["logout() or flush() after login(), for every copy of the cookie too"]
        )
        assert end == "At once, when you sign out with logout()."
    else:
        by_logout = "signing out or flush(), for somebody who has a copy of the cookie"
        assert kept == expected[by_logout]
        assert end.endswith("in this browser only: a copy of the cookie stays valid.")


def test_new_password_leaves_a_sign_in_by_hand(profile: str, ada: User) -> None:
    client = visitor()
    client.post("/auth/by-hand-sign-in/", {"username": "ada", "password": "cookies"})
    assert fates(client)["a new password"] == Fate.KEPT
    ada.set_password("chocolate")
    ada.save()
    assert b"ada" in again(client).get("/auth/by-hand/").content


def test_new_password(profile: str, ada: User) -> None:
    client = visitor(ada)
    assert fates(client)["a new password that is set in another browser"] == Fate.ENDED
    ada.set_password("chocolate")
    ada.save()
    assert not is_in(again(client))


@pytest.mark.parametrize(
    ("options", "store", "expected"),
    [
        (["--appendonly", "yes"], "Redis", Fate.KEPT),
        (["--appendonly", "no", "--save", ""], "Redis", Fate.ENDED),
        (["--appendonly", "no", "--save", "60", "1"], "Redis, as of its last snapshot", Fate.KEPT),
    ],
)
def test_restart_of_redis(
    options: list[str], store: str, expected: Fate, settings: Settings, tmp_path: Path, db: None
) -> None:
    settings.SESSION_ENGINE = f"{OUR_ENGINES}cache"
    server = StoppableRedis(tmp_path, *options)
    server.start()
    try:
        settings.CACHES = caches(f"{server.url}/0")
        client = visitor()
        assert fates(client)[f"a restart of {store}"] == expected
        # A shutdown writes a snapshot, if it writes any.
        server.stop()
        server.start()
        assert has_color(client) == expected
    finally:
        server.stop()


@on("db", "cached_db", "file", "signed_cookies")
def test_restart_of_the_database(profile: str) -> None:
    """SQLite is no server that restarts."""
    has_server = profile in {"db", "cached_db"} and connection.vendor != "sqlite"
    assert ("a restart of the database" in fates(visitor())) == has_server


@pytest.mark.long
@pytest.mark.parametrize(
    ("engine", "cache"), [("cache", "memory"), ("cache", "redis"), ("file", ""), ("db", "")]
)
def test_restart_of_the_site(
    engine: str, cache: str, demo_database: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"{request.getfixturevalue('redis_url')}/5" if cache == "redis" else "locmem://"
    variables = {
        "SESSION_PROFILE": engine,
        "CACHE_URL": url,
        "DATABASE_URL": copied(demo_database, tmp_path),
        "SESSION_FILE_PATH": str(tmp_path / "sessions"),
    }
    with requests.Session() as web:
        with running(QUICK, **variables) as address:
            web.get(f"{address}/recipes/sessions/set-item/")
            web.headers["X-CSRFToken"] = web.cookies["csrftoken"]
            web.post(f"{address}/sessions/set-item/")
            page = html.unescape(web.get(f"{address}/session/").text)
            assert b"color is blue" in web.get(f"{address}/sessions/get-item/").content
        with running(QUICK, **variables) as address:
            is_kept = b"color is blue" in web.get(f"{address}/sessions/get-item/").content
    [kept, ended] = re.findall(r"(?:Kept after|Ended by):</b> (.*?)</li>", page)
    assert "a restart of the site" in (kept if is_kept else ended)
    assert is_kept == (cache != "memory")


def test_who_can_read_the_session(profile: str) -> None:
    client = visitor()
    cookie = key_of(client).removeprefix(ENCRYPTED_COOKIE_PREFIX).removeprefix(".")
    encoded = cookie.partition(":")[0]
    page: Any = client.get("/session/")
    read = page.context["answers"].read
    if profile == "signed_cookies":
        assert b'"color"' in b64_decode(encoded.encode())
        assert read[0].startswith("Everybody who has the cookie")
    elif profile == "encrypted_cookies":
        assert b'"color"' not in b64_decode(encoded.encode())
        assert read[0].endswith("in the cookie, encrypted.")
    else:
        assert re.fullmatch("[a-z0-9]{32}", cookie)
        assert "The cookie has only a random key." in read
        place, *copies = [place.location.place for place in page.context["places"]]
        assert read[0] == f"Only this site, and whoever can read its store: {place}."
        named = [
            f"A copy is in the cache ({place}), which requests read first." for place in copies
        ]
        assert [text for text in read if text.startswith("A copy")] == named
        assert len(named) == (profile == "cached_db")


def test_changed_cookie(profile: str) -> None:
    client = visitor()
    change = answers(client).change
    ignores = (
        "it ignores a cookie" if profile in IN_COOKIES else "A changed cookie opens no session."
    )
    assert ignores in " ".join(change)
    key = key_of(client)
    client.cookies["sessionid"] = f"{key[:20]}{'b' if key[20] == 'a' else 'a'}{key[21:]}"
    assert has_color(client) == Fate.ENDED


@on("db", "cache", "cached_db")
def test_changed_store(profile: str) -> None:
    """Whoever writes to the store changes a session there, unless the site signs what it stores."""
    client = visitor()
    change = answers(client).change[0]
    if profile == "db":
        [row] = Session.objects.all()
        row.session_data = f"x{row.session_data[1:]}"
        row.save()
        assert has_color(client) == Fate.ENDED
        assert change.endswith("whose signature is wrong.")
    else:
        redis: Any = cache_connections["sessions"].client.get_client()  # type: ignore[attr-defined]
        [name] = redis.keys("*")
        redis.set(name, redis.get(name).replace(b"blue", b"gray"), keepttl=True)
        assert b"color is gray" in again(client).get("/sessions/get-item/").content
        where = "its store" if profile == "cache" else "the cache: the copy there is not signed"
        assert change.endswith(f"whoever can write to {where}.")


@on("db", "cached_db", "file")
def test_session_of_another_visitor_in_the_store(
    profile: str, settings: Settings, store: Any
) -> None:
    """Django's signature of a stored session does not name its key."""
    client, other = visitor(), browser()
    other.post("/sessions/set-item/", {"key": "color", "value": "green"})
    if profile == "file":
        path, others = (Path(store(key_of(who))._key_to_file()) for who in (client, other))
        path.write_bytes(others.read_bytes())
    else:
        data = Session.objects.get(pk=key_of(other)).session_data
        Session.objects.filter(pk=key_of(client)).update(session_data=data)
        assert (has_color(client) == Fate.KEPT) == (profile == "cached_db")
        cache_connections["sessions"].clear()
    assert b"color is green" in again(client).get("/sessions/get-item/").content
    assert PUT_IN_PLACE.get(profile, PUT_IN_PLACE["db"]) in answers(client).change


@on("signed_cookies", "cache")
def test_no_signature_or_no_store_to_write_to(profile: str) -> None:
    change = answers(visitor()).change
    assert "in its place" not in " ".join(change).replace("put another cookie in its place", "")
    older = "An older one can be put back unnoticed while it is valid."
    assert (older in change) == (profile == "signed_cookies")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("HTTPONLY", True, "Scripts cannot read the cookie (HttpOnly)."),
        ("HTTPONLY", False, "Scripts on the page can read the cookie too (no HttpOnly)."),
        ("SECURE", True, "The cookie travels over https only (Secure)."),
        ("SECURE", False, "Over http, everybody on the way can read the cookie too (no Secure)."),
        ("SAMESITE", "Strict", "without it (SameSite=Strict)."),
        ("SAMESITE", "Lax", "without it (SameSite=Lax)."),
        ("SAMESITE", "None", "comes with it (SameSite=None)."),
        ("SAMESITE", None, "the browser decides."),
    ],
)
def test_attributes_of_the_session_cookie(
    name: str, value: Any, sentence: str, settings: Settings, db: None
) -> None:
    setattr(settings, f"SESSION_COOKIE_{name}", value)
    client = visitor()
    assert client.cookies["sessionid"][name.lower()] == (value or "")
    found = answers(client)
    assert sentence in " ".join([*found.read, *found.change])


def expiry(client: Client) -> Any:
    return again(client).get("/session/").context["state"].expires


@pytest.mark.parametrize("saves", [False, True])
def test_session_ends_after_last_change_or_request(
    saves: bool, profile: str, settings: Settings
) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = saves
    settings.SESSION_COOKIE_AGE = 90 * 60
    client = visitor()
    last = "request (SESSION_SAVE_EVERY_REQUEST)" if saves else "change"
    assert answers(client).end[0] == f"1 hour, 30 minutes after its last {last}."
    before = expiry(client)
    assert ("sessionid" in again(client).get("/sessions/get-item/").cookies) == saves
    if profile == "cache":
        # Redis has a clock of its own.
        return
    with time_machine.travel(timezone.now() + timedelta(minutes=10)):
        again(client).get("/sessions/get-item/")
        assert (expiry(client) - before > timedelta(minutes=9)) == saves


def test_fixed_expiry(profile: str) -> None:
    client = visitor()
    client.post("/expiry/at-a-moment/")
    before, fixed = expiry(client), client.session.get_expiry_date()
    assert abs(before - fixed) < timedelta(seconds=2)
    assert answers(client).end[0] == (
        f"On {fixed:%Y-%m-%d %H:%M}:00 UTC, by set_expiry(). Later changes do not move it."
    )
    # One time and no other, of which the cookie and a cache may be a second short.
    assert "If nothing changes" not in " ".join(answers(client).end)
    client.post("/sessions/set-item/", {"value": "red"})
    assert abs(expiry(client) - before) < timedelta(seconds=2)


@pytest.mark.parametrize("path", ["/expiry/at-browser-close/", "/expiry/in-seconds/"])
def test_closing_the_browser(path: str, profile: str) -> None:
    client = visitor()
    client.post(path)
    has_age = bool(client.cookies["sessionid"]["max-age"])
    expected = fates(client)
    assert (expected.get("closing the browser") == Fate.KEPT) == has_age
    end = answers(client).end
    assert ("Before that, when the browser closes." in end) != has_age
    if not has_age and expiry(client):
        assert end[1].startswith("If nothing changes, on ")
        assert end[2] == "Before that, when the browser closes."


@pytest.mark.parametrize("recipe", COOKIE_RECIPES, ids=lambda recipe: recipe.route)
def test_cookie_is_as_the_recipe_sets_it(recipe: Any, client: Client, db: None) -> None:
    response = client.generic(recipe.methods[0], recipe.url)
    found = Client().get(recipe.page_url).context["answers"]
    if recipe.route in DROPPED:
        assert isinstance(found, NoAnswers)
        return
    lines = [response.headers["Set-Cookie"]] if "Set-Cookie" in response.headers else []
    lines += [cookie.OutputString() for cookie in response.cookies.values()]
    set_lines = [line.lower() for line in lines if "max-age=0" not in line.lower()]
    kept = [line for line in set_lines if "domain=" not in line]
    if kept:
        whole_box = " ".join([*found.read, *found.change, *found.end])
        for line in kept:
            assert (line.partition("=")[0] or "without a name") in found.about.lower()
        for sentence, attribute in {
            "Scripts on the page can read the cookie too (no HttpOnly).": "httponly",
            "Over http, everybody on the way can read the cookie too (no Secure).": "secure",
        }.items():
            assert (sentence in whole_box) == any(attribute not in line for line in kept)
        has_no_age = any("max-age=" not in line and "expires=" not in line for line in kept)
        assert ("When the browser closes: it has no age." in whole_box) == has_no_age
    is_signed = recipe.subject != Subject.PLAIN_COOKIE
    assert is_signed == any(text.startswith("Only this site can") for text in found.change)


def test_each_of_two_cookies_is_described(client: Client, db: None) -> None:
    found = answers(client, RECIPES["in-scripts/seen-and-unseen"].page_url)
    assert found.about == (
        "The cookies seen (Path=/), unseen (HttpOnly; Path=/), as this recipe sets them."
    )
    assert found.read == [
        "Everybody who has it: its text is the value.",
        "seen: Scripts on the page can read the cookie too (no HttpOnly).",
        "unseen: Scripts cannot read the cookie (HttpOnly).",
        "Over http, everybody on the way can read the cookie too (no Secure).",
    ]
    assert found.change[0] == "seen: You, and scripts on the page. The site cannot tell."
    assert found.end == ["When the browser closes: it has no age."]


def test_two_cookies_with_the_same_answers_have_one_box(client: Client, db: None) -> None:
    found = answers(client, RECIPES["limits/two-paths"].page_url)
    single = answers(client, RECIPES["cookies/set-cookie"].page_url)
    assert found.about == (
        "The cookies twin (Path=/), twin (Path=/limits/), as this recipe sets them."
    )
    assert (found.read, found.change, found.end) == (single.read, single.change, single.end)
    assert {event.what: event.fate for event in found.events} == {
        event.what: event.fate for event in single.events
    }


def test_event_that_ends_one_of_two_cookies() -> None:
    one = Answers("", ["r"], [], ["a"], [Event("closing", Fate.ENDED), Event("x", Fate.KEPT)])
    other = Answers("", ["r"], [], ["b"], [Event("closing", Fate.KEPT), Event("x", Fate.KEPT)])
    both = merged(["one", "other"], [one, other])
    assert (both.read, both.end) == (["r"], ["one: a", "other: b"])
    assert both.survives == "x; other: closing"
    assert both.ended_by == "one: closing"


def test_box_says_that_there_is_no_dropped_cookie(client: Client, db: None) -> None:
    reason = "Name and value have 5005 bytes, more than 4096."
    sentence = f"Browsers drop the cookie color, and keep an older one of that name. {reason}"
    page = client.get(RECIPES["cookies/too-large"].page_url)
    box = html.unescape(page.content.decode()).partition('<section class="four"')[2]
    box = box.partition("</section>")[0]
    assert sentence in box
    assert "Who can read it?" not in box


def test_box_describes_the_kept_one_of_two(client: Client, db: None) -> None:
    found = answers(client, RECIPES["limits/two-domains"].page_url)
    assert found.about == (
        "The cookie twin (Path=/), as this recipe sets it. Browsers drop the cookie twin for "
        "example.test, and keep an older one of that name. testserver may not set cookies for "
        "the domain example.test."
    )
    assert found.read[0] == "Everybody who has it: its text is the value."


@pytest.mark.parametrize(
    ("route", "name", "setter"),
    [
        ("reading/by-name", "color (Path=/)", "cookies/set-cookie"),
        (
            "limits/read-nameless",
            "without a name (Path=/; Max-Age=600; SameSite=Lax)",
            "limits/nameless",
        ),
        ("auth/who-lets-you-in", "is_login (Path=/)", "auth/forge"),
    ],
)
def test_cookie_of_another_recipe(
    route: str, name: str, setter: str, client: Client, db: None
) -> None:
    assert answers(client, RECIPES[route].page_url).about == (
        f"The cookie {name}, as the recipe “{RECIPES[setter].title}” sets it."
    )


@pytest.mark.parametrize(
    "route",
    [
        "prefixes/subdomain",
        "limits/too-many",
        "limits/count-them",
        "limits/delete-them",
        "in-scripts/cookie-store",
        "other-sites/partitioned",
        "other-sites/third-party",
    ],
)
def test_recipe_without_a_single_cookie(route: str, client: Client, db: None) -> None:
    client.post("/sessions/set-item/")
    about = answers(client, RECIPES[route].page_url).about
    assert about.endswith("so this is about your session. Your session, on the engine db.")


@pytest.mark.parametrize(
    ("deletion", "is_same"),
    [
        ("color=; Path=/", True),
        ("color=; Path=/; Secure; SameSite=None", True),
        ("colour=; Path=/", False),
        ("color=; Path=/elsewhere/", False),
        ("color=; Path=/; Domain=example.test", False),
    ],
)
def test_what_a_deletion_shares_with_its_cookie(
    deletion: str, is_same: bool, rf: RequestFactory
) -> None:
    cookie = SetCookie("color=blue; Path=/", rf.get("/"))
    assert (SetCookie(deletion, rf.get("/")).identity == cookie.identity) == is_same


@pytest.mark.parametrize(
    ("attributes", "end"),
    [
        ("Max-Age=60", ["1 minute after it was set. Set now, it ends on 2026-05-04 12:01:00 UTC."]),
        (
            "Max-Age=86357",
            [
                "23 hours, 59 minutes, 17 seconds after it was set. Set now, it ends on 2026-05-05 "
                "11:59:17 UTC."
            ],
        ),
        (
            "Expires=Wed, 06 May 2026 12:00:10 GMT",
            ["2 days after it was set. Set now, it ends on 2026-05-06 12:00:00 UTC."],
        ),
        ("Expires=never", ["When the browser closes: it has no age."]),
        ("Max-Age=34560000", [LONGEST]),
        ("Max-Age=34560001", [LONGEST, "Browsers keep no cookie for longer."]),
        (
            "Expires=Thu, 31 Dec 2099 23:59:59 GMT",
            [LONGEST, "Browsers keep no cookie for longer."],
        ),
    ],
)
@time_machine.travel("2026-05-04T12:00:00Z", tick=False)
def test_end_of_cookie(attributes: str, end: list[str], rf: RequestFactory) -> None:
    cookie = SetCookie(f"color=blue; {attributes}; path=/", rf.get("/"))
    assert list(when_it_ends(cookie)) == end


def test_signed_cookie_needs_the_key(client: Client, settings: Settings, db: None) -> None:
    client.get("/signed/sign/")
    expected = fates(client, "/recipes/signed/sign/")
    change_key(settings, keeps_old=True)
    assert client.get("/signed/read/").status_code == 200
    assert expected["a new SECRET_KEY, with the old one in SECRET_KEY_FALLBACKS"] == Fate.KEPT
    settings.SECRET_KEY_FALLBACKS = []
    assert client.get("/signed/read/").status_code == 400
    assert expected["a new SECRET_KEY alone"] == Fate.ENDED


def test_cookie_with_a_key_of_the_view_needs_that_one(
    client: Client, settings: Settings, db: None
) -> None:
    client.get("/signed/change-the-key/")
    expected = fates(client, "/recipes/signed/change-the-key/")
    change_key(settings, keeps_old=False)
    assert expected["a new SECRET_KEY alone"] == Fate.KEPT
    assert again(client).get("/signed/change-the-key/").status_code == 200
    assert expected["a new key in the view, with the old one as a fallback"] == Fate.KEPT
    client = Client()
    client.get("/signed/change-the-key/?forget=on")
    assert client.get("/signed/change-the-key/?forget=on").status_code == 400
    assert expected["a new key in the view alone"] == Fate.ENDED


def test_plain_cookie_needs_nothing(client: Client, settings: Settings, db: None) -> None:
    client.get("/cookies/set-cookie/")
    change_key(settings, keeps_old=False)
    assert b"color is blue" in client.get("/reading/by-name/").content
    assert fates(client, "/recipes/reading/by-name/")["a new SECRET_KEY alone"] == Fate.KEPT


def test_sign_in_cookie(client: Client, settings: Settings, ada: User) -> None:
    form = {"username": "ada", "password": "cookies"}
    client.post("/auth/cookie-sign-in/", form)
    path, page = "/auth/cookie-account/", "/recipes/auth/cookie-account/"
    assert client.get(path).status_code == 200
    expected, found = fates(client, page), answers(client, page)
    assert found.end[0].startswith("14 days after it was set. ")
    assert client.cookies["login_auth"]["max-age"] == 14 * 24 * 60 * 60
    copy = client.cookies["login_auth"].value
    assert copy.startswith(f"{ada.pk}.")
    client.post("/auth/cookie-sign-out/")
    assert client.get(path).status_code == 302
    assert expected["signing out, in this browser"] == Fate.ENDED
    client.cookies["login_auth"] = copy
    assert client.get(path).status_code == 200
    assert expected["signing out, for somebody who has a copy of the cookie"] == Fate.KEPT
    ada.set_password("chocolate")
    ada.save()
    assert client.get(path).status_code == 302
    assert expected["a new password"] == Fate.ENDED


def test_session_in_the_address(profile: str, settings: Settings) -> None:
    client = Client()
    address = client.post("/in-path/begin/").headers["Location"]
    assert Client().get(address).status_code == 200
    found = fates(client, "/recipes/in-path/begin/")
    change_key(settings, keeps_old=False)
    assert Client().get(address).status_code == 400
    assert found["a new SECRET_KEY alone"] == Fate.ENDED


def test_every_recipe_has_the_box(profile: str, client: Client) -> None:
    for recipe in RECIPES.values():
        page = client.get(recipe.page_url)
        box = html.unescape(page.content.decode()).partition('<section class="four"')[2]
        found = page.context["answers"]
        if recipe.route in DROPPED:
            assert found.why in box
            continue
        last = [found.left] if found.left else [found.survives, found.ended_by]
        for text in (*found.read, *found.change, *found.end, *last):
            assert text
            assert text in box


def test_box_leaves_nothing_in_the_stores(empty_stores: None, client: Client, db: None) -> None:
    for recipe in RECIPES.values():
        client.get(recipe.page_url)
    assert Session.objects.count() == 0
    assert "sessionid" not in client.cookies


def test_store_that_does_not_answer(settings: Settings, client: Client, db: None) -> None:
    settings.SESSION_ENGINE = f"{OUR_ENGINES}cache"
    settings.CACHES = caches("redis://127.0.0.1:1/0")
    sentence = "Redis 127.0.0.1:1/1 does not answer now. Load the page again later."
    client.cookies["sessionid"] = "k" * 32
    for path in (
        "/recipes/sessions/set-item/",
        "/recipes/expiry/every-setting/",
        "/recipes/in-path/begin/",
    ):
        assert sentence in client.get(path).content.decode()
    assert sentence not in client.get("/recipes/cookies/set-cookie/").content.decode()
    settings.DEBUG = False
    page = client.get("/recipes/sessions/set-item/").content.decode()
    assert "The store does not answer now." in page
    assert "127.0.0.1" not in page


@on("cache", "cached_db")
def test_failure_is_not_remembered(
    profile: str, settings: Settings, client: Client, tmp_path: Path
) -> None:
    redis = StoppableRedis(tmp_path)
    settings.CACHES = caches(f"{redis.url}/0")
    page = client.get("/recipes/sessions/set-item/").content.decode()
    assert f"Redis 127.0.0.1:{redis.port}/1 does not answer now." in page
    redis.start()
    try:
        assert answers(client, "/recipes/sessions/set-item/").read
    finally:
        redis.stop()


def test_engine_that_is_not_known(settings: Settings, client: Client, db: None) -> None:
    settings.SESSION_ENGINE = "tests.engines.example"
    page = client.get("/recipes/sessions/set-item/").content.decode()
    assert "The engine is not one that this site knows." in page


def test_public_page_does_not_name_the_store(settings: Settings, client: Client, db: None) -> None:
    settings.DEBUG = False
    found = client.get("/recipes/sessions/set-item/").context["answers"]
    assert found.read[0] == "Only this site, and whoever can read its store: the server."


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (90, "1 minute, 30 seconds"),
        (120, "2 minutes"),
        (86357, "23 hours, 59 minutes, 17 seconds"),
        (3600, "1 hour"),
        (1_209_600, "14 days"),
    ],
)
def test_duration(seconds: int, text: str) -> None:
    assert duration(seconds) == text
