"""What is sent to the pages and recipes: fields, queries, bodies and paths that are anything."""

import logging
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_from_bytes

from django.core import signing
from django.core.exceptions import SuspiciousOperation
from django.urls import URLResolver, get_resolver
from hypothesis import strategies as st
from pytest_django import Settings

from cookieproj.devices.models import RefusedSession, SignedInSession
from cookieproj.engines import inspector
from demo.attacks import ATTEMPTS
from demo.constants import IN_PATH_SALT
from demo.models import User
from demo.recipes import RECIPES
from tests.families import run_on
from tests.fault_table import Held, Whose

from .conftest import Fuzz, Log, Property, ours
from .inputs import NOTORIOUS, mutated
from .raw_stores import STORES
from .site import FORM, Look, Site
from .users import CANARY, Person, signed_in

METHODS = ["GET", "GET", "POST", "POST", "POST", "HEAD", "PUT", "\xe9"]

# By what a recipe's form or the form of its page names.
FIELDS = {
    route: [*recipe.form().fields, *(recipe.asks().fields if recipe.asks else ())]
    for route, recipe in RECIPES.items()
}

TEXTS = [str(value).encode(errors="surrogatepass") for value in NOTORIOUS] + [
    *(
        b"color",
        b"sessionid",
        b"_auth_user_id",
        b"cart",
        b"Lax",
        b"zh-hans",
        b"/",
        b"//evil",
        b"on",
    ),
    *(
        b"2026-12-01 12:00",
        b"a; Domain=evil",
        b"a\r\nSet-Cookie: b=c",
        b"\xff\xfe",
        b"\xf0\x9f\x8d\xaa",
    ),
    *(
        b"(",
        b"99999",
        b"127.0.0.1/8",
        b"mallory",
        b"cookies",
        b"%s%n{0}{{ 7 }}",
        b"<script>",
        b"' OR 1=1 --",
        b"x" * 3000,
    ),
]
texts = st.sampled_from(TEXTS) | st.binary(max_size=30)


def encoded(fields: list[tuple[str, bytes]]) -> bytes:
    return "&".join(f"{name}={quote_from_bytes(text)}" for name, text in fields).encode()


@st.composite
def runs(draw: st.DrawFn) -> Look:
    """A recipe with something in each of its fields, and in one that it has not."""
    route = draw(st.sampled_from(list(RECIPES)))
    sent = encoded([(name, draw(texts)) for name in [*FIELDS[route], "next"]])
    method = draw(st.sampled_from(METHODS))
    path = f"/{route}/"
    return Look(path, method, body=sent) if method == "POST" else Look(path, method, sent.decode())


def walked(patterns: list[Any], before: str = "") -> Iterator[str]:
    """The paths of a URL conf, less those that a regular expression gives."""
    for each in patterns:
        path = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from walked(each.url_patterns, path)
        elif "(" not in path:
            yield path


PATHS = [path for path in walked(get_resolver().url_patterns) if path.strip("/") not in RECIPES]

# What pages look for in a query, or in a form; the admin filters by some.
PARAMETERS = [
    *("next", "whole", "old", "new", "language", "text", "username", "password", "action"),
    *("q", "o", "p", "e", "all", "start", "engine", "system", "signed_in_at__gte", "_popup"),
    *("user__id__exact", "id__in", "_to_field", "_changelist_filters", "_selected_action"),
    *("app_label", "model_name", "field_name", "term", "is_staff__exact", "date_joined__year"),
    *("address", "username__regex", "username__in", "last_login__year", "name__exact"),
]

KINDS = [
    *(FORM, f"{FORM}; charset=utf-16", "multipart/form-data; boundary=x", "multipart/form-data"),
    *("application/json", "text/plain", "", "\xff"),
]

MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="text"; filename="a"\r\n\r\nb\r\n--x--\r\n'
)


@st.composite
def requests(
    draw: st.DrawFn, paths: list[str], methods: list[str], known: dict[str, list[str]]
) -> Look:
    """Any page, with something where its address has a variable, and in query and body."""

    def drawn(variable: re.Match[str]) -> str:
        right = st.sampled_from(known.get(variable[1], ["1"]))
        return draw(st.one_of(right, right, texts.map(lambda text: text.decode("latin-1"))))

    varying = [path for path in paths if "<" in path and not path.startswith("admin/")]
    path = draw(st.sampled_from(paths) | st.sampled_from(varying or paths))
    path = re.sub(r"<(?:\w+:)?(\w+)>", drawn, path)
    fields = encoded(draw(st.lists(st.tuples(st.sampled_from(PARAMETERS), texts), max_size=3)))
    query = draw(st.just(fields) | mutated(st.just(fields))).decode("latin-1")
    body = draw(st.just(fields) | mutated(st.sampled_from([fields, MULTIPART])))
    headers = {"HTTP_SEC_FETCH_SITE": "same-origin"}
    kind = draw(st.sampled_from(KINDS))
    return Look(f"/{path}", draw(st.sampled_from(methods)), query, body, kind, headers)


@ours
def test_fields_of_any_recipe(
    site: Site, whose: Whose, profile: str, log: Log, fuzz: Fuzz, held: Held
) -> None:
    ada, mallory = signed_in(site, CANARY, CANARY), signed_in(site, "mallory", "blue")
    tries = fuzz(5, visits(site, ada, mallory, profile, log), runs())
    held("Form fields of anything, all recipes", "ours", tries, 0)


@ours
def test_any_page(site: Site, whose: Whose, profile: str, log: Log, fuzz: Fuzz, held: Held) -> None:
    ada, mallory = signed_in(site, CANARY, CANARY), signed_in(site, "mallory", "blue")
    rows = [str(row) for row in SignedInSession.objects.values_list("pk", flat=True)]
    known = {
        "pk": rows,
        "object_id": [*rows, inspector.encrypt(ada.key, inspector.KEY)],
        "token": [signing.dumps(ada.key, salt=IN_PATH_SALT)[:-1]],
        "group": ["auth"],
        "name": [*ATTEMPTS, "sign-in"],
    }
    looks = requests(PATHS, METHODS, known)
    tries = fuzz(1, visits(site, ada, mallory, profile, log), looks)
    held("Paths, queries and bodies of anything, all pages", "ours", tries, 0)


def test_any_page_of_the_admin(
    on_postgresql: None, settings: Settings, log: Log, fuzz: Fuzz
) -> None:
    """Only looked at: staff may change things, and see them. It refuses more than SQLite does."""
    run_on(settings, "ours", "db")
    site = Site()
    admin = signed_in(site, "staff", "blue", is_staff=True, is_superuser=True)
    row = str(SignedInSession.objects.values_list("pk", flat=True)[0])
    known = {"object_id": ["1", row, inspector.encrypt(admin.key, inspector.KEY)]}

    paths = [path for path in PATHS if path.startswith("admin/")]

    def holds(look: Look) -> None:
        assert site.ask(look, admin.cookie).status < 500
        log.said()

    assert fuzz(0.5, holds, requests(paths, ["GET", "HEAD"], known))


def visits(
    site: Site,
    ada: Person,
    mallory: Person,
    profile: str,
    log: Log,
) -> Property:
    """By one who is signed in, while the session of the other is in the same store."""
    store = STORES[profile]() if profile in STORES else None
    before = {person.key: store.held(person.key) if store else None for person in (ada, mallory)}

    def holds(look: Look) -> None:
        # Signed in again, whatever the one before has ended.
        User.objects.filter(username="mallory").update(sign_outs=0)
        if store:
            store.plant(mallory.key, before[mallory.key] or b"")
        else:
            RefusedSession.objects.all().delete()
        answer = site.ask(look, mallory.cookie)
        assert answer.status < 500
        assert not answer.shows(CANARY)
        assert store is None or store.held(ada.key) == before[ada.key]
        assert not [record.exc_info for record in log.said() if is_fault(record)]

    return holds


def is_fault(record: logging.LogRecord) -> bool:
    """Not what Django refuses: of a page for staff, say, an address too long to come back to."""
    return bool(record.exc_info and not isinstance(record.exc_info[1], SuspiciousOperation))
