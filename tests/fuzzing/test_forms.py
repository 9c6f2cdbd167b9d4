"""Random fields, queries, bodies and paths, for the recipes and all pages."""

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
from tests.fault_table import Tally, Whose

from .conftest import Check, Fuzz, Log, on_our_engines
from .inputs import NOTORIOUS, mutated
from .raw_stores import STORES
from .site import FORM, Request, Site
from .users import CANARY, Person, sign_up

METHODS = ["GET", "GET", "POST", "POST", "POST", "HEAD", "PUT", "\xe9"]

# The fields of a recipe's form and of the form on its page.
FIELDS = {
    route: [*recipe.form.base_fields, *(recipe.asks.base_fields if recipe.asks else ())]
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
def recipe_requests(draw: st.DrawFn) -> Request:
    """A request to a recipe with random values of its fields, and of one that it does not have."""
    route = draw(st.sampled_from(list(RECIPES)))
    fields = encoded([(name, draw(texts)) for name in [*FIELDS[route], "next"]])
    method = draw(st.sampled_from(METHODS))
    path = f"/{route}/"
    if method == "POST":
        return Request(path, method, body=fields)
    return Request(path, method, fields.decode())


def paths_of(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    """The paths of a URLconf, except those with a regular expression."""
    for each in patterns:
        path = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from paths_of(each.url_patterns, path)
        elif "(" not in path:
            yield path


PATHS = [path for path in paths_of(get_resolver().url_patterns) if path.strip("/") not in RECIPES]

# Names that pages read from a query or a form. Some are filters of the admin.
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
def page_requests(
    draw: st.DrawFn, paths: list[str], methods: list[str], valid_values: dict[str, list[str]]
) -> Request:
    """A request to a page, with random values in its path, query and body."""

    def draw_value(variable: re.Match[str]) -> str:
        valid = st.sampled_from(valid_values.get(variable[1], ["1"]))
        return draw(st.one_of(valid, valid, texts.map(lambda text: text.decode("latin-1"))))

    with_variable = [path for path in paths if "<" in path and not path.startswith("admin/")]
    path = draw(st.sampled_from(paths) | st.sampled_from(with_variable or paths))
    path = re.sub(r"<(?:\w+:)?(\w+)>", draw_value, path)
    fields = encoded(draw(st.lists(st.tuples(st.sampled_from(PARAMETERS), texts), max_size=3)))
    query = draw(st.just(fields) | mutated(st.just(fields))).decode("latin-1")
    body = draw(st.just(fields) | mutated(st.sampled_from([fields, MULTIPART])))
    headers = {"HTTP_SEC_FETCH_SITE": "same-origin"}
    kind = draw(st.sampled_from(KINDS))
    return Request(f"/{path}", draw(st.sampled_from(methods)), query, body, kind, headers)


@on_our_engines
def test_random_form_fields_open_no_other_session(
    site: Site, whose: Whose, profile: str, log: Log, fuzz: Fuzz, tally: Tally
) -> None:
    ada, mallory = sign_up(site, CANARY, CANARY), sign_up(site, "mallory", "blue")
    tries = fuzz(5, request_check(site, ada, mallory, profile, log), recipe_requests())
    tally("Random form fields, all recipes", "ours", tries, 0)


@on_our_engines
def test_random_requests_to_pages_open_no_other_session(
    site: Site, whose: Whose, profile: str, log: Log, fuzz: Fuzz, tally: Tally
) -> None:
    ada, mallory = sign_up(site, CANARY, CANARY), sign_up(site, "mallory", "blue")
    rows = [str(row) for row in SignedInSession.objects.values_list("pk", flat=True)]
    valid_values = {
        "pk": rows,
        "object_id": [*rows, inspector.encrypt(ada.key, inspector.KEY)],
        "token": [signing.dumps(ada.key, salt=IN_PATH_SALT)[:-1]],
        "group": ["auth"],
        "name": [*ATTEMPTS, "sign-in"],
    }
    requests = page_requests(PATHS, METHODS, valid_values)
    tries = fuzz(1, request_check(site, ada, mallory, profile, log), requests)
    tally("Random paths, queries and bodies, all pages", "ours", tries, 0)


def test_random_get_requests_to_the_admin_are_no_server_error(
    on_postgresql: None, settings: Settings, log: Log, fuzz: Fuzz
) -> None:
    """On PostgreSQL, which refuses more values than SQLite. Staff may see and change everything."""
    run_on(settings, "ours", "db")
    site = Site()
    admin = sign_up(site, "staff", "blue", is_staff=True, is_superuser=True)
    row = str(SignedInSession.objects.values_list("pk", flat=True)[0])
    valid_values = {"object_id": ["1", row, inspector.encrypt(admin.key, inspector.KEY)]}

    paths = [path for path in PATHS if path.startswith("admin/")]

    def check(request: Request) -> None:
        assert site.send(request, admin.cookie).status < 500
        log.take_records()

    assert fuzz(0.5, check, page_requests(paths, ["GET", "HEAD"], valid_values))


def request_check(
    site: Site,
    ada: Person,
    mallory: Person,
    profile: str,
    log: Log,
) -> Check:
    """A check that sends Mallory's request while Ada's session is in the same store."""
    store = STORES[profile]() if profile in STORES else None
    before = {
        person.key: store.payload_of(person.key) if store else None for person in (ada, mallory)
    }

    def check(request: Request) -> None:
        # The previous request may have ended Mallory's session.
        User.objects.filter(username="mallory").update(sign_outs=0)
        if store:
            store.plant(mallory.key, before[mallory.key] or b"")
        else:
            RefusedSession.objects.all().delete()
        answer = site.send(request, mallory.cookie)
        assert answer.status < 500
        assert not answer.shows(CANARY)
        assert store is None or store.payload_of(ada.key) == before[ada.key]
        assert not [record.exc_info for record in log.take_records() if is_error(record)]

    return check


def is_error(record: logging.LogRecord) -> bool:
    """Whether it has a traceback. A request that Django refuses as suspicious is no error."""
    return bool(record.exc_info and not isinstance(record.exc_info[1], SuspiciousOperation))
