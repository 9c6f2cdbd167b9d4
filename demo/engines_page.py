"""The engines side by side: what each is, found out by trying, and what it costs, measured."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cache import SessionStore as DjangoCacheEngine
from django.core.cache import caches
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from cookieproj.devices.decorators import require_post
from cookieproj.engines.benchmark import results
from cookieproj.engines.benchmark.namespace import namespaced
from cookieproj.engines.benchmark.result_cache import cached_result
from cookieproj.engines.benchmark.results import Benchmark
from cookieproj.engines.benchmark.run import benchmark, cached_untimed_benchmark
from cookieproj.engines.benchmark.visitor import RequestFailedError
from cookieproj.engines.caches import adapter_for
from cookieproj.engines.caches.generic import GenericCacheStore
from cookieproj.engines.caches.memcached import MemcachedStore
from cookieproj.engines.caches.memory import MemoryStore
from cookieproj.engines.caches.redis import RedisStore
from cookieproj.engines.constants import ENGINE_NAMES
from cookieproj.engines.cookie_sessions import CookieSession
from cookieproj.engines.cookie_settings import MAX_COOKIE_BYTES
from cookieproj.engines.engine_registry import current_engine, resolve_engine
from cookieproj.engines.exceptions import NotListableError, SessionStoreError

from .attacks import stored
from .benchmark_chart import TITLES, Panel, longest, panels
from .decoding import steps
from .engine_advice import QuestionsForm, advice
from .models import User

# What a session holds that is looked for where it should not be.
COLOR = "blue as a berry"

# Requests of each kind on each engine that the page's button times: a few seconds of them.
REQUESTS = 30

QUESTIONS = (
    gettext_lazy("Sessions live in"),
    gettext_lazy("They survive a restart"),
    gettext_lazy("The client can read"),
    gettext_lazy("One can be ended from elsewhere"),
    gettext_lazy("All of a user can be ended"),
    gettext_lazy("They can be listed"),
    gettext_lazy("The largest session"),
    gettext_lazy("Expired ones are cleared by"),
)


def answers(store: type[SessionBase]) -> list[str]:
    """To the QUESTIONS, found out with a session that goes again. A store may fail."""
    try:
        with namespaced(store) as tried:
            place, reads, ends = try_out(tried)
            return [
                place,
                survival(tried),
                reads,
                ends,
                everywhere(),
                listing(tried),
                limit(tried),
                clearing(tried),
            ]
    except SessionStoreError as error:
        return failed(str(error))


def failed(reason: str) -> list[str]:
    shown = reason if settings.DEBUG else _("Its store does not answer.")
    return [shown, *[""] * (len(QUESTIONS) - 1)]


def columns(counted: Benchmark) -> list[list[str]]:
    """A store that has just failed as its trips were counted is not asked again."""
    return [
        failed(measured.problem)
        if measured.problem
        else [str(answer) for answer in answers(resolve_engine(measured.engine).session_class)]
        for measured in counted.engines
    ]


def known_columns(counted: Benchmark) -> list[list[str]]:
    """Of all engines, tried once in each language."""
    return cached_result(
        f"answers-{get_language()}-{settings.DEBUG}",
        lambda: columns(counted),
        lambda found: all(answer for column in found for answer in column),
    )


def try_out(store: Any) -> tuple[str, str, str]:
    """Where it is; whether it is in the cookie too; whether deleting it ends a copy of that."""
    with stored(store, color=COLOR) as session:
        cookie = session.session_key
        [location, *_copies] = session.locate()
    shows = any(COLOR in step.outcome for step in steps(cookie.encode()))
    opens = store(cookie).get("color") == COLOR
    return (
        # A public page does not tell where a server has its stores.
        location.place if settings.DEBUG or shows else _("the server"),
        _("all of it: signed, not encrypted") if shows else _("a random key, and nothing else"),
        _("not by the engine: this site refuses what was signed out, for a query a request")
        if opens
        else _("yes"),
    )


def everywhere() -> str:
    """The same on all engines: it is the user's session hash that tells."""
    user = User(password="a hash")  # noqa: S106 - of nobody
    before = user.get_session_auth_hash()
    user.sign_outs += 1
    is_ended = user.get_session_auth_hash() != before
    return _("yes, for no query more") if is_ended else _("no")


def survival(store: Any) -> str:
    if issubclass(store, CookieSession):
        return _("yes: the browser holds them")
    if not issubclass(store, DjangoCacheEngine):
        return _("yes")
    match session_cache():
        case MemoryStore():
            return _("no: they go with this process")
        case RedisStore() as redis:
            return persistence(redis)
    return _("of the site, not of the cache")


def session_cache() -> GenericCacheStore:
    return adapter_for(caches[settings.SESSION_CACHE_ALIAS])


def persistence(redis: RedisStore) -> str:
    """What that Redis says of itself."""
    try:
        has_file = redis.client.config_get("appendonly")["appendonly"] == "yes"
        is_saved = bool(redis.client.config_get("save")["save"])
    except (RedisError, KeyError):
        return _("of the site; whether of Redis, it does not tell")
    if has_file:
        return _("yes: Redis keeps an append-only file")
    if is_saved:
        return _("of the site; of Redis as far as its last snapshot")
    return _("of the site, not of Redis: it keeps no file")


def listing(store: Any) -> str:
    try:
        store.page(size=1)
    except NotListableError as error:
        return str(error)
    return _("yes")


def limit(store: Any) -> str:
    if issubclass(store, CookieSession):
        return _("%d bytes of cookie, attributes included") % MAX_COOKIE_BYTES
    if issubclass(store, DjangoCacheEngine) and isinstance(session_cache(), MemcachedStore):
        return _("1 MB, unless memcached is started with another -I")
    return _("none that a session comes near")


def clearing(store: Any) -> str:
    if issubclass(store, CookieSession):
        return _("the browser")
    if issubclass(store, DjangoCacheEngine):
        return _("the cache itself")
    return "manage.py clearsessions"


@require_safe
@never_cache
def engines(request: HttpRequest) -> HttpResponse:
    """The facts, the last benchmark, and advice."""
    counted, made = cached_untimed_benchmark(), results.last()
    form = QuestionsForm(request.GET or None)
    context = {
        "names": ENGINE_NAMES,
        "running": current_engine().label,
        "rows": list(zip(QUESTIONS, zip(*known_columns(counted), strict=True), strict=True)),
        "trips": list(trips(counted)),
        "sizes": [(measured.cookie_bytes, measured.stored_bytes) for measured in counted.engines],
        "made": made,
        "charts": charts(panels(made)) if made else [],
        "form": form,
        "advice": advice(counted, **form.cleaned_data) if form.is_valid() else None,
        "debug": settings.DEBUG,
    }
    return render(request, "demo/engines.html", context)


@require_post(page="demo:engines")
def measure(request: HttpRequest) -> HttpResponse:
    """In development at the press of a button; elsewhere it would be a load for anybody to make."""
    if not settings.DEBUG:
        raise Http404
    try:
        results.keep(benchmark(requests=REQUESTS))
    except (DatabaseError, OSError, RequestFailedError, SessionStoreError) as error:
        messages.error(request, str(error))
    return redirect(f"{reverse('demo:engines')}#costs")


def trips(made: Benchmark) -> Iterator[tuple[Any, list[int | None]]]:
    """By kind of request, of each engine; None where it was not measured."""
    for kind, title in TITLES.items():
        costs = [measured.requests.get(kind) for measured in made.engines]
        yield title, [cost.trips if cost else None for cost in costs]


def charts(drawn: list[Panel]) -> list[tuple[str, list[dict[str, Any]]]]:
    """By kind of request the bars, each with its part of the widest of all."""
    widest = longest(drawn)
    return [
        (
            panel.title,
            [{"bar": bar, "percent": 100 * bar.microseconds / widest} for bar in panel.bars],
        )
        for panel in drawn
    ]
