"""Which engine should I use: three questions, and an answer with its reason."""

from dataclasses import dataclass

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.benchmark.results import Benchmark
from cookieproj.engines.constants import CACHE, CACHED_DB, DB, FILE, SIGNED_COOKIES
from cookieproj.engines.engine_registry import resolve_engine


class QuestionsForm(forms.Form):
    """The questions; ``advice`` has an answer to each combination."""

    stores = forms.ChoiceField(
        label=gettext_lazy("What runs beside Django?"),
        widget=forms.RadioSelect,
        choices=[
            ("redis", gettext_lazy("a database, and Redis or memcached")),
            ("database", gettext_lazy("a database")),
            ("disk", gettext_lazy("nothing, on one machine")),
            ("none", gettext_lazy("nothing, on many machines")),
        ],
    )
    holds = forms.ChoiceField(
        label=gettext_lazy("What does a session hold?"),
        widget=forms.RadioSelect,
        choices=[
            ("little", gettext_lazy("little, that its owner may read")),
            ("private", gettext_lazy("more than a kilobyte, or what nobody may read")),
        ],
    )
    lasts = forms.ChoiceField(
        label=gettext_lazy("What if a server restarts?"),
        widget=forms.RadioSelect,
        choices=[
            ("stay", gettext_lazy("everybody stays signed in")),
            ("again", gettext_lazy("people may sign in again")),
        ],
    )


@dataclass(frozen=True)
class Advice:
    engine: str
    reason: str


def advice(made: Benchmark, *, stores: str, holds: str, lasts: str) -> Advice:
    """The engine for those answers, and why, with the trips that were counted here."""
    name = chosen(stores, holds, lasts)
    return Advice(name, f"{reason(name, stores)} {trips(made, name)}".strip())


def chosen(stores: str, holds: str, lasts: str) -> str:
    match stores, holds, lasts:
        case "redis", _holds, "again":
            return CACHE
        case "redis", _holds, _lasts:
            return CACHED_DB
        case "disk" | "none", "little", _lasts:
            return SIGNED_COOKIES
        case "disk", _holds, _lasts:
            return FILE
    return DB


def reason(name: str, stores: str) -> str:
    if stores == "none" and name == DB:
        return _("What nobody may read has to be where all machines reach it: take a database.")
    return {
        CACHE: _("Nothing on a server is faster, and nobody minds what it forgets."),
        CACHED_DB: _("The cache answers reads, and the database has what it forgets."),
        DB: _("All machines reach it, it is backed up with all the rest, and forgets nothing."),
        FILE: _("A folder is all that it takes, and it survives a restart."),
        SIGNED_COOKIES: _(
            "The browser keeps it: no store to run, and none to lose. But a copy of the cookie "
            "outlives a sign-out, unless something remembers that, as this site does."
        ),
    }[name]


def trips(made: Benchmark, name: str) -> str:
    """Empty where its store was away when they were counted."""
    measured = made.of(resolve_engine(name).path)
    if measured is None or not measured.requests:
        return ""
    counts = {kind: measured.requests[kind].trips for kind in ("read", "write")}
    return _("Trips to the store: %(read)d to read, %(write)d to write.") % counts
