"""The page that compares the engines: what each supports, found by trial, and what it costs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cache import SessionStore as DjangoCacheEngine
from django.db import DatabaseError, connections, router
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cookieproj.devices.decorators import require_post
from cookieproj.devices.models import RefusedSession
from cookieproj.engines.benchmark import results
from cookieproj.engines.benchmark.namespace import namespaced
from cookieproj.engines.benchmark.result_cache import cached_result
from cookieproj.engines.benchmark.results import Benchmark
from cookieproj.engines.benchmark.run import benchmark, cached_untimed_benchmark
from cookieproj.engines.benchmark.visitor import RequestFailedError
from cookieproj.engines.caches.memcached import MemcachedStore
from cookieproj.engines.constants import ENGINE_NAMES
from cookieproj.engines.cookie_sessions import CookieSession
from cookieproj.engines.engine_registry import current_engine, resolve_engine
from cookieproj.engines.exceptions import NotListableError, SessionStoreError
from cookieproj.engines.mongodb import SessionStore as MongoDBEngine

from .attacks import temporary_session
from .benchmark_chart import TITLES, Panel, longest_time, panels
from .cookie_limits import engine_limit_in_short
from .engine_advice import QuestionsForm, advice
from .engine_facts import EngineFacts, try_session
from .models import User
from .store_durability import session_cache
from .wording import listed

# How many requests of each kind the page's button times on each engine. With all engines that takes
# less than ten seconds, unless a store does not answer.
BENCHMARK_REQUESTS = 30

QUESTIONS = (
    gettext_lazy("Sessions are stored in"),
    gettext_lazy("Sessions survive a restart"),
    gettext_lazy("The browser can read"),
    gettext_lazy("One session can be ended remotely"),
    gettext_lazy("All sessions of a user can be ended"),
    gettext_lazy("Sessions can be listed"),
    gettext_lazy("Largest session"),
    gettext_lazy("Expired sessions are cleared by"),
)


@dataclass(frozen=True)
class Column:
    """An engine's answers to QUESTIONS. ``problem`` is the error if its store fails.

    ``queries`` is how many the list of ended sessions costs a request that reads a signed-in one.
    """

    answers: list[str]
    problem: str = ""
    queries: int = 0


def column(session_class: type[SessionBase]) -> Column:
    """Return an engine's answers, found with temporary sessions."""
    try:
        with namespaced(session_class) as namespaced_class:
            facts = try_session(namespaced_class, session_class)
            queries = queries_of_check(namespaced_class) if facts.outlives_deletion else 0
            return Column(answers(facts, queries, namespaced_class), queries=queries)
    except SessionStoreError as error:
        return failure(str(error))


def answers(facts: EngineFacts, queries: int, namespaced_class: Any) -> list[str]:
    return [
        facts.place,
        facts.restart.text,
        readability(facts),
        ending(facts, queries),
        signing_out_everywhere(),
        listing(namespaced_class),
        size_limit(namespaced_class),
        clearing(namespaced_class),
    ]


def failure(problem: str) -> Column:
    return Column([_("It failed when it was tried."), *[""] * (len(QUESTIONS) - 1)], problem)


def columns_of(benchmark: Benchmark) -> list[Column]:
    """Return each engine's column. A store that failed in the benchmark is not asked again."""
    return [
        failure(measured.problem)
        if measured.problem
        else column(resolve_engine(measured.engine).session_class)
        for measured in benchmark.engines
    ]


def remembered_columns(benchmark: Benchmark) -> list[Column]:
    """Return each engine's column. The engines are tried once for each language."""
    return cached_result(
        f"answers-{get_language()}-{settings.DEBUG}",
        lambda: columns_of(benchmark),
        lambda columns: not any(column.problem for column in columns),
    )


def readability(facts: EngineFacts) -> str:
    if facts.is_readable:
        return _("the whole session: signed, not encrypted")
    if facts.is_session:
        return _("nothing but its length: encrypted")
    return _("only a random key")


def ending(facts: EngineFacts, queries: int) -> str:
    """Return whether the engine ends a session that it deletes."""
    if not facts.outlives_deletion:
        return _("yes")
    text = ngettext(
        "not by the engine; this site refuses ended sessions, with %(number)d query in each "
        "request that reads a signed-in session",
        "not by the engine; this site refuses ended sessions, with %(number)d queries in each "
        "request that reads a signed-in session",
        queries,
    )
    return text % {"number": queries} if queries else _("no")


def queries_of_check(session_class: Any) -> int:
    """Count the queries of SESSION_REVOCATION_CHECK as a signed-in session is read."""
    database = connections[router.db_for_read(RefusedSession)]
    with (
        temporary_session(session_class, **{SESSION_KEY: "0"}) as session,
        CaptureQueriesContext(database) as captured,
    ):
        session_class(session.session_key).get(SESSION_KEY)
    return len(captured)


def signing_out_everywhere() -> str:
    """Try to end all sessions of a user. The user's session hash does so with every engine."""
    user = User(password="a hash")  # noqa: S106 - the user is never saved
    old_hash = user.get_session_auth_hash()
    user.sign_outs += 1
    are_ended = user.get_session_auth_hash() != old_hash
    return _("yes, without another query") if are_ended else _("no")


def listing(session_class: Any) -> str:
    try:
        session_class.page(size=1)
    except NotListableError as error:
        return str(error)
    return _("yes")


def size_limit(session_class: Any) -> str:
    if issubclass(session_class, CookieSession):
        return engine_limit_in_short()
    uses_cache = issubclass(session_class, DjangoCacheEngine)
    if uses_cache and isinstance(session_cache(), MemcachedStore):
        return _("1 MB, unless memcached runs with a different -I")
    if issubclass(session_class, MongoDBEngine):
        return _("about 8 MB, half of the largest document")
    return _("no practical limit")


def clearing(session_class: Any) -> str:
    if issubclass(session_class, CookieSession):
        return _("the browser")
    if issubclass(session_class, DjangoCacheEngine):
        return _("the cache itself")
    if issubclass(session_class, MongoDBEngine):
        return _("MongoDB itself, once a minute")
    return "manage.py clearsessions"


@require_safe
@never_cache
def engines(request: HttpRequest) -> HttpResponse:
    """Show the comparison, the last benchmark and a recommendation."""
    counted, last_benchmark = cached_untimed_benchmark(), results.last()
    running = current_engine().label
    compared = zip(ENGINE_NAMES, counted.engines, remembered_columns(counted), strict=True)
    # The running one comes first, as a narrow window does not show all.
    names, measured, columns = zip(
        *sorted(compared, key=lambda column: column[0] != running), strict=True
    )
    counted = replace(counted, engines=list(measured))
    form = QuestionsForm(request.GET or None)
    context = {
        "names": names,
        "running": running,
        "rows": [
            (question, [each.answers[place] for each in columns])
            for place, question in enumerate(QUESTIONS)
        ],
        "problems": [
            (name, each.problem) for name, each in zip(names, columns, strict=True) if each.problem
        ],
        "round_trips": list(round_trips(counted)),
        "sizes": [(measured.cookie_bytes, measured.stored_bytes) for measured in counted.engines],
        "benchmark": last_benchmark,
        "charts": charts(panels(last_benchmark)) if last_benchmark else [],
        "form": form,
        "advice": advice(counted, **form.cleaned_data) if form.is_valid() else None,
        "queries": queries_beside(dict(zip(names, columns, strict=True))),
        "debug": settings.DEBUG,
        "requests": BENCHMARK_REQUESTS,
    }
    return render(request, "demo/engines.html", context)


def queries_beside(columns: dict[str, Column]) -> str:
    """Return a sentence on the queries that take time in the charts and are no round trips."""
    queries = {name: column.queries for name, column in columns.items() if column.queries}
    if not queries:
        return ""
    number = max(queries.values())
    text = ngettext(
        "Reading a signed-in session, as a sign-out does, takes %(number)d query to the list of "
        "ended sessions on these engines: %(engines)s. It is part of the time here, and none of "
        "the engine's round trips. Django's engine has no such list.",
        "Reading a signed-in session, as a sign-out does, takes %(number)d queries to the list of "
        "ended sessions on these engines: %(engines)s. They are part of the time here, and none "
        "of the engine's round trips. Django's engine has no such list.",
        number,
    )
    return text % {"engines": listed(queries), "number": number}


@require_post(page="demo:engines")
def measure(request: HttpRequest) -> HttpResponse:
    """Run a benchmark, in development only: elsewhere anybody could put load on the site."""
    if not settings.DEBUG:
        raise Http404
    try:
        results.keep(benchmark(requests=BENCHMARK_REQUESTS))
    except (DatabaseError, OSError, RequestFailedError, SessionStoreError) as error:
        messages.error(request, str(error))
    return redirect(f"{reverse('demo:engines')}#costs")


def round_trips(benchmark: Benchmark) -> Iterator[tuple[Any, list[int | None]]]:
    """Yield each kind of request with each engine's round trips, None where it was not measured."""
    for kind, title in TITLES.items():
        costs = [measured.requests.get(kind) for measured in benchmark.engines]
        yield title, [cost.trips if cost else None for cost in costs]


def charts(drawn: list[Panel]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return each panel's title and bars, with each bar's percentage of the widest of all."""
    widest = longest_time(drawn)
    return [
        (
            panel.title,
            [{"bar": bar, "percent": 100 * bar.microseconds / widest} for bar in panel.bars],
        )
        for panel in drawn
    ]
