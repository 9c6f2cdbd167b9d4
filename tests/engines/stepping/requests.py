"""The steps of a request, and the record of what a request did to its session."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cookieproj.engines.exceptions import HeldByClientError

Data = dict[str, Any]

# The data of each new session. Each actor removes its own "gone…" key.
INITIAL_DATA: Data = {
    "user": "ada",
    "kept": "kept",
    "shared": "initial",
    "count": 0,
    "members": frozenset({148, 11, 213, 284}),
    **{f"gone{number}": True for number in range(4)},
}


def initial_data() -> Data:
    return INITIAL_DATA | {"members": set(INITIAL_DATA["members"])}


@dataclass
class SessionChanges:
    """What one request did to one session: its cookie's, or a new one after a sign-out."""

    is_new: bool
    written: dict[str, list[Any]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    increments: int = 0
    signed_in: bool = False


@dataclass
class Visit:
    """A request, or a deletion by the admin or a command. Moments are numbers."""

    number: int
    process: str
    cookie: str | None
    started_at: int
    changes: SessionChanges = field(default_factory=lambda: SessionChanges(is_new=False))
    all_changes: list[SessionChanges] = field(default_factory=list)
    # The session's data when the request first read it; None if it never did.
    loaded: Data | None = None
    # When a "sign_out", "sign_in" or "delete" began to end the key.
    ended_at: dict[str, int] = field(default_factory=dict)
    # Whether the view itself saved the session under a new key, which ends the old one.
    saved_new_key: bool = False
    # "saved", "refused" (the session had ended), "failed" (the store did not answer).
    outcome: str = ""
    answered_at: int = 0
    # The number of store calls of all actors before the response.
    calls_before_answer: int = 0
    # The session cookie of the response: None if it has none, "" if it deletes it.
    set_cookie: str | None = None
    had_store_failure: bool = False

    @property
    def loaded_nobody(self) -> bool:
        return self.loaded is not None and "user" not in self.loaded

    def overlaps(self, other: "Visit") -> bool:
        return self.started_at < other.answered_at and other.started_at < self.answered_at

    def start_new_session(self) -> None:
        self.all_changes.append(self.changes)
        self.changes = SessionChanges(is_new=True)


# A step gets a label that is unique in the plan, to derive keys and values from.
Step = Callable[[Any, Visit, str], None]


def record_loaded_data(session: Any, visit: Visit) -> None:
    """Record the session's data, if this is the first time that the request reads it."""
    if visit.loaded is None and not visit.changes.is_new:
        visit.loaded = dict(session.items())
        if isinstance(members := visit.loaded.get("members"), set):
            visit.loaded["members"] = set(members)
        visit.changes.is_new = visit.loaded_nobody


def read(session: Any, visit: Visit, label: str) -> None:
    session.get("kept")


def write_pair(session: Any, visit: Visit, label: str) -> None:
    """Write two keys that belong together."""
    write(session, visit, f"one{label}", label)
    write(session, visit, f"two{label}", label)


def write(session: Any, visit: Visit, key: str, value: Any) -> None:
    session[key] = value
    record_write(visit, key, value)


def record_write(visit: Visit, key: str, value: Any) -> None:
    visit.changes.written.setdefault(key, []).append(value)


def write_shared(session: Any, visit: Visit, label: str) -> None:
    write(session, visit, "shared", label)


def add_member(session: Any, visit: Visit, label: str) -> None:
    """Change a set in place, like ``session["members"] |= …``."""
    members = session.get("members", set())
    members.add(1000 + visit.number)
    session["members"] = members
    record_write(visit, "members", set(members))


def remove(session: Any, visit: Visit, label: str) -> None:
    session.pop(f"gone{visit.number}", None)
    visit.changes.removed.add(f"gone{visit.number}")


def apply(session: Any, visit: Visit, label: str) -> None:
    visit.changes.increments += 1
    try:
        session.apply("count", lambda count: count + 1, 0)
    except (AttributeError, HeldByClientError):
        # Django's engines have no apply, and cookies refuse it.
        session["count"] = session.get("count", 0) + 1


def sign_in(session: Any, visit: Visit, label: str) -> None:
    session.cycle_key()
    visit.changes.signed_in = True
    record_loaded_data(session, visit)
    session["user"] = "ada"


def sign_out(session: Any, visit: Visit, label: str) -> None:
    session.flush()
    visit.start_new_session()


def touch(session: Any, visit: Visit, label: str) -> None:
    session.modified = True


def set_expiry(session: Any, visit: Visit, label: str) -> None:
    seconds = 5000 + int(label.replace("_", ""))
    session.set_expiry(seconds)
    record_write(visit, "_session_expiry", seconds)


def save(session: Any, visit: Visit, label: str) -> None:
    session.save()
    visit.saved_new_key = visit.saved_new_key or visit.changes.signed_in


STEPS: dict[str, Step] = {
    step.__name__: step
    for step in (
        read, write_pair, write_shared, add_member, remove, apply, sign_in, sign_out, touch,
        set_expiry, save,
    )
}  # fmt: skip


# Steps that do not load the session first.
WITHOUT_LOADING = {"sign_in", "sign_out", "touch"}


def run_step(session: Any, visit: Visit, step: str, label: str, now: Callable[[], int]) -> None:
    if step not in WITHOUT_LOADING:
        record_loaded_data(session, visit)
    if step in {"sign_in", "sign_out"} and not visit.changes.is_new:
        visit.ended_at.setdefault(step, now())
    STEPS[step](session, visit, label)
