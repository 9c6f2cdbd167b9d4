"""What a request does to its session, and what it is known to have done."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cookieproj.engines.exceptions import HeldByClientError

Data = dict[str, Any]

# What each session begins with; "gone" is for each actor to remove its own.
BEGUN: Data = {
    "user": "ada",
    "kept": "kept",
    "shared": "begun",
    "count": 0,
    "members": frozenset({148, 11, 213, 284}),
    **{f"gone{number}": True for number in range(4)},
}


def begun() -> Data:
    return BEGUN | {"members": set(BEGUN["members"])}


@dataclass
class Line:
    """A session as one request had it: of its cookie, or made anew after a sign-out."""

    is_new: bool
    wrote: dict[str, list[Any]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    added: int = 0
    signed_in: bool = False


@dataclass
class Visit:
    """A request, or what else is done to a session. Moments are numbers."""

    number: int
    process: str
    cookie: str | None
    began: int
    line: Line = field(default_factory=lambda: Line(is_new=False))
    lines: list[Line] = field(default_factory=list)
    # What it found in its session as it first looked; None if it never has.
    found: Data | None = None
    # What ends a key, from when on: "sign_out", "sign_in", "delete".
    ends: dict[str, int] = field(default_factory=dict)
    # Saved by hand after a new key was asked for: from then on the old one is not to open.
    is_settled: bool = False
    # "saved", "refused" (the session had ended), "failed" (the store did not answer).
    outcome: str = ""
    answered: int = 0
    # How many had been made by all, when it was answered.
    trips: int = 0
    # What the response said of the cookie: None for nothing, "" to delete it.
    answer: str | None = None
    has_failed: bool = False

    @property
    def found_nobody(self) -> bool:
        return self.found is not None and "user" not in self.found

    def overlaps(self, other: "Visit") -> bool:
        return self.began < other.answered and other.began < self.answered

    def new_line(self) -> None:
        self.lines.append(self.line)
        self.line = Line(is_new=True)


Verb = Callable[[Any, Visit, str], None]


def look(session: Any, visit: Visit) -> None:
    """At what the session holds, the first time."""
    if visit.found is None and not visit.line.is_new:
        visit.found = dict(session.items())
        if isinstance(members := visit.found.get("members"), set):
            visit.found["members"] = set(members)
        visit.line.is_new = visit.found_nobody


def read(session: Any, visit: Visit, deed: str) -> None:
    session.get("kept")


def own(session: Any, visit: Visit, deed: str) -> None:
    """Two keys, which belong together."""
    write(session, visit, f"one{deed}", deed)
    write(session, visit, f"two{deed}", deed)


def write(session: Any, visit: Visit, key: str, value: Any) -> None:
    session[key] = value
    note(visit, key, value)


def note(visit: Visit, key: str, value: Any) -> None:
    visit.line.wrote.setdefault(key, []).append(value)


def shared(session: Any, visit: Visit, deed: str) -> None:
    write(session, visit, "shared", deed)


def member(session: Any, visit: Visit, deed: str) -> None:
    """Changed in place, as by ``session["members"] |= …``."""
    members = session.get("members", set())
    members.add(1000 + visit.number)
    session["members"] = members
    note(visit, "members", set(members))


def remove(session: Any, visit: Visit, deed: str) -> None:
    session.pop(f"gone{visit.number}", None)
    visit.line.removed.add(f"gone{visit.number}")


def apply(session: Any, visit: Visit, deed: str) -> None:
    visit.line.added += 1
    try:
        session.apply("count", lambda count: count + 1, 0)
    except (AttributeError, HeldByClientError):
        # Django's engines have none, and no cookie can.
        session["count"] = session.get("count", 0) + 1


def sign_in(session: Any, visit: Visit, deed: str) -> None:
    session.cycle_key()
    visit.line.signed_in = True
    look(session, visit)
    session["user"] = "ada"


def sign_out(session: Any, visit: Visit, deed: str) -> None:
    session.flush()
    visit.new_line()


def touch(session: Any, visit: Visit, deed: str) -> None:
    session.modified = True


def expiry(session: Any, visit: Visit, deed: str) -> None:
    seconds = 5000 + int(deed.replace("_", ""))
    session.set_expiry(seconds)
    note(visit, "_session_expiry", seconds)


def save(session: Any, visit: Visit, deed: str) -> None:
    session.save()
    visit.is_settled = visit.is_settled or visit.line.signed_in


VERBS: dict[str, Verb] = {
    verb.__name__: verb
    for verb in (
        read, own, shared, member, remove, apply, sign_in, sign_out, touch, expiry, save
    )
}  # fmt: skip


# What may be done to a session that nobody has looked at yet.
UNREAD = {"sign_in", "sign_out", "touch"}


def do(session: Any, visit: Visit, verb: str, deed: str, now: Callable[[], int]) -> None:
    if verb not in UNREAD:
        look(session, visit)
    if verb in {"sign_in", "sign_out"} and not visit.line.is_new:
        visit.ends.setdefault(verb, now())
    VERBS[verb](session, visit, deed)
