"""Recommend an engine by three questions, and say why."""

from dataclasses import dataclass

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.benchmark.results import Benchmark
from cookieproj.engines.constants import (
    CACHE,
    CACHED_DB,
    DB,
    ENCRYPTED_COOKIES,
    FILE,
    MONGODB,
    SIGNED_COOKIES,
)
from cookieproj.engines.engine_registry import resolve_engine


class QuestionsForm(forms.Form):
    """The three questions; ``advice`` recommends an engine for each combination of answers."""

    stores = forms.ChoiceField(
        label=gettext_lazy("What runs besides Django?"),
        widget=forms.RadioSelect,
        choices=[
            ("redis", gettext_lazy("a database, and Redis or memcached")),
            ("database", gettext_lazy("a database")),
            ("documents", gettext_lazy("a database, and MongoDB")),
            ("disk", gettext_lazy("nothing else, on one machine")),
            ("none", gettext_lazy("nothing else, on several machines")),
        ],
    )
    holds = forms.ChoiceField(
        label=gettext_lazy("What does a session contain?"),
        widget=forms.RadioSelect,
        choices=[
            ("little", gettext_lazy("a little data, which its owner may read")),
            ("secret", gettext_lazy("a little data, which its owner may not read")),
            (
                "private",
                gettext_lazy("more than two kilobytes, or data that must stay on the server"),
            ),
        ],
    )
    lasts = forms.ChoiceField(
        label=gettext_lazy("What if a server restarts?"),
        widget=forms.RadioSelect,
        choices=[
            ("stay", gettext_lazy("everybody stays signed in")),
            ("again", gettext_lazy("people may have to sign in again, and lose their carts")),
        ],
    )


@dataclass(frozen=True)
class Advice:
    engine: str
    reason: str


def advice(benchmark: Benchmark, *, stores: str, holds: str, lasts: str) -> Advice:
    """Return the engine for these answers, with the reason and the round trips counted here."""
    name = recommended_engine(stores, holds, lasts)
    return Advice(name, f"{reason(name, stores)} {round_trips(benchmark, name)}".strip())


def recommended_engine(stores: str, holds: str, lasts: str) -> str:
    match stores, holds, lasts:
        case "redis", _holds, _lasts:
            return CACHE if lasts == "again" else CACHED_DB
        case "documents", _holds, _lasts:
            return MONGODB
        case "disk" | "none", "little", _lasts:
            return SIGNED_COOKIES
        case "disk" | "none", "secret", _lasts:
            return ENCRYPTED_COOKIES
        case "disk", _holds, _lasts:
            return FILE
    return DB


def reason(name: str, stores: str) -> str:
    if stores == "none" and name == DB:
        return _(
            "Private data must stay on the server, where all machines can reach it: use a database."
        )
    return {
        CACHE: _(
            "It is the fastest store on a server. If it loses a session, the user has to sign in "
            "again, and the data in the session, such as a cart, are gone too."
        ),
        CACHED_DB: _("The cache answers reads, and the database keeps what the cache evicts."),
        DB: _(
            "All machines can reach it, it is backed up with your other data, and it loses no "
            "session."
        ),
        MONGODB: _(
            "All machines can reach it. It deletes expired sessions by itself, and loses no "
            "session that it has acknowledged."
        ),
        FILE: _("It needs only a folder, and sessions survive a restart."),
        SIGNED_COOKIES: _(
            "The browser keeps the session, so there is no store to run or to lose. But a copy of "
            "the cookie outlives a sign-out, unless the site keeps a list of ended sessions, as "
            "this one does."
        ),
        ENCRYPTED_COOKIES: _(
            "The browser keeps the session and cannot read it, so there is no store to run or to "
            "lose. Only the length shows. A copy of the cookie outlives a sign-out, unless the "
            "site keeps a list of ended sessions, as this one does."
        ),
    }[name]


def round_trips(benchmark: Benchmark, name: str) -> str:
    """Return a sentence on the engine's round trips, or "" if its store was unreachable."""
    measured = benchmark.of(resolve_engine(name).path)
    if measured is None or not measured.requests:
        return ""
    counts = {kind: measured.requests[kind].trips for kind in ("read", "write")}
    return _("Round trips to the store: %(read)d to read, %(write)d to write.") % counts
