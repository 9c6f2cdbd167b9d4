"""The promises that every session keeps, whatever the order of store calls and their failures."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.engines.handover_switch import is_cookie

from .history import History
from .requests import INITIAL_DATA, Data, SessionChanges, Visit


@dataclass(eq=False)
class Key:
    """A key of a signed-in session, with the cookies that stand for it."""

    cookies: list[str]
    # The data that the session started with.
    initial_data: Data
    children: list["Key"] = field(default_factory=list)

    def with_descendants(self) -> Iterator["Key"]:
        """Yield the key and those that replaced it, directly or not."""
        yield self
        for child in self.children:
            yield from child.with_descendants()


@dataclass
class KeyChanges:
    """The changes of one request to the session of a key, certain if its response was "saved"."""

    key: Key
    visit: Visit
    changes: SessionChanges
    is_certain: bool

    def values(self, name: str) -> list[Any]:
        """Return the values that may have been stored."""
        values = self.changes.written.get(name, [])
        return values[-1:] if self.is_certain else values


class Model:
    """Each promise is a method that yields a sentence for each violation."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.visits = history.visits
        self.final_data = history.final_data
        self.is_handover = len(history.setup.processes) > 1
        self.processes = {part.process for part in history.plan.parts}
        self.root = Key(history.cookies[:1], INITIAL_DATA)
        self.keys = {history.cookies[0]: self.root}
        self.roots = [self.root]
        for visit in sorted(self.visits, key=lambda visit: visit.answered_at):
            if visit.outcome == "saved" and visit.set_cookie and visit.set_cookie not in self.keys:
                self.add_key(visit, visit.set_cookie)

    def add_key(self, visit: Visit, cookie: str) -> None:
        """Add the key of a response's cookie."""
        previous = None if visit.changes.is_new else self.keys.get(visit.cookie or "")
        if previous and not visit.changes.signed_in:
            previous.cookies.append(cookie)
            self.keys[cookie] = previous
        elif previous or visit.changes.signed_in:
            self.keys[cookie] = key = Key([cookie], {})
            (previous.children if previous else self.roots).append(key)

    def violations(self) -> Iterator[tuple[str, str]]:
        """Yield the name of a broken promise and a sentence for each violation."""
        if self.history.error:
            yield "no error", repr(self.history.error)
            return
        promises = [self.ended_session_stays_ended, self.nobody_is_signed_out, self.no_half_writes]
        if self.history.is_on_server and not self.interrupted_movers:
            promises += [self.writes_are_kept, self.increments_add_up, self.stores_agree]
        elif self.all_have_first_key:
            promises.append(self.writes_are_kept)
        for promise in promises:
            for sentence in promise():
                yield promise.__name__.replace("_", " "), sentence

    @property
    def all_have_first_key(self) -> bool:
        """Whether all requests send the server's key, and get a cookie of a cookie engine for it.

        Their writes are merged in the old store until the browser sends one of those cookies.
        """
        return not is_cookie(self.history.cookies[0]) and all(
            (visit.process, visit.cookie) == ("new", self.history.cookies[0])
            for visit in self.visits
        )

    @cached_property
    def interrupted_movers(self) -> set[int]:
        """The actors that failed during a move, so that the session may be in both stores.

        This is logged. Until ``movesessions`` runs again, each engine serves its own copy.
        """
        moving, interrupted = set(), set()
        for call in self.history.calls if self.is_handover else ():
            if call.name.endswith(("insert", "add")):
                moving.add(call.actor)
            if call.failure and call.actor in moving:
                interrupted.add(call.actor)
        return interrupted

    def ended_session_stays_ended(self) -> Iterator[str]:
        for visit in filter(self.has_ended_key, self.visits):
            for cookie in self.cookies_ended_by(visit):
                for later in self.visits:
                    is_later = later.started_at >= visit.answered_at
                    if later.cookie == cookie and is_later and later.loaded:
                        yield f"R{later.number} opened the session that R{visit.number} had ended"
                if any(self.final_data.get(cookie, ())):
                    yield f"{cookie}, which R{visit.number} had ended, opens a session"

    def cookies_ended_by(self, visit: Visit) -> list[str]:
        """Return the cookies that must open nothing. A cookie engine cannot end its cookies."""
        key = self.keys.get(visit.cookie or "")
        if key and self.history.has_one_cookie_kind:
            return [
                cookie
                for cookie in key.cookies
                if self.history.is_on_server or not is_cookie(cookie)
            ]
        return [visit.cookie] if visit.cookie and not is_cookie(visit.cookie) else []

    def has_ended_key(self, visit: Visit) -> bool:
        """Whether the key that it sent must have ended with its response."""
        if visit.outcome != "saved" or not visit.ended_at:
            return False
        is_sign_in = visit.ended_at.keys() == {"sign_in"}
        if visit.had_store_failure and (self.is_handover or is_sign_in):
            # This is logged: the old key may still open, or a late request may store it again.
            return False
        if is_sign_in and visit.changes.is_new:
            return False
        if any(self.overlaps_actor(visit, number) for number in self.interrupted_movers):
            return False
        return visit.process != "old" or not (
            self.interrupted_movers or self.history.has_moved(visit)
        )

    def overlaps_actor(self, visit: Visit, actor: int) -> bool:
        visits = [other for other in self.visits if other.number == actor]
        return not visits or visits[0].overlaps(visit)

    def nobody_is_signed_out(self) -> Iterator[str]:
        for visit in self.visits if self.history.has_one_cookie_kind else ():
            if visit.loaded_nobody and not self.may_load_nobody(visit):
                yield f"R{visit.number} loaded no user"
            is_refused = visit.outcome == "refused" and not visit.ended_at
            if is_refused and not self.may_load_nobody(visit):
                yield f"R{visit.number} was refused"
        if not self.history.is_on_server:
            yield from self.browser_is_signed_out()
            return
        for cookie, key in self.keys.items():
            if not self.ending_visits(key) and not self.is_signed_in(cookie):
                yield f"{cookie} opens no session"

    def browser_is_signed_out(self) -> Iterator[str]:
        """Check the browser's last cookie, unless it comes from before a concurrent sign-in."""
        cookie = self.history.cookie or ""
        if any(visit.loaded_nobody or self.may_end_session(visit) for visit in self.visits):
            return
        if any(self.overlaps_ending(visit) for visit in self.visits if visit.set_cookie == cookie):
            return
        if not cookie or not self.is_signed_in(cookie):
            yield f"the browser, with {cookie}"

    def overlaps_ending(self, visit: Visit) -> bool:
        """Whether a concurrent request ended a key, or may have exchanged its cookie."""
        return any(
            (other.ended_at or not self.history.has_one_cookie_kind) and other.overlaps(visit)
            for other in self.visits
            if other is not visit
        )

    def may_load_nobody(self, visit: Visit) -> bool:
        key = self.keys.get(visit.cookie or "")
        if key is None or (visit.process == "old" and self.history.has_moved(visit)):
            return True
        endings = (
            self.ending_visits(key)
            if self.history.is_on_server
            else filter(self.may_end_key, self.visits)
        )
        return any(
            min(other.ended_at.values()) <= visit.answered_at
            for other in endings
            if other is not visit
        )

    def ending_visits(self, key: Key) -> list[Visit]:
        """Return the requests that have ended the key, or may have."""
        return [
            visit
            for visit in self.visits
            if visit.cookie in key.cookies and self.may_end_key(visit)
        ]

    def may_end_key(self, visit: Visit) -> bool:
        if visit.ended_at.keys() == {"sign_in"}:
            # If the new key is not saved, the old one stays valid.
            return visit.outcome == "saved" or visit.saved_new_key
        return bool(visit.ended_at)

    def may_end_session(self, visit: Visit) -> bool:
        """Whether the session may end, and not just one of its keys."""
        return self.may_end_key(visit) and (
            visit.ended_at.keys() != {"sign_in"} or visit.outcome != "saved"
        )

    def may_have_ended(self, key: Key) -> bool:
        return any(
            self.may_end_session(visit) or self.changes_key_in_old_only(visit)
            for descendant in key.with_descendants()
            for visit in self.ending_visits(descendant)
        )

    def changes_key_in_old_only(self, visit: Visit) -> bool:
        """Whether a process without a handover ended the key, while others used the new store."""
        return visit.process == "old" and "new" in self.processes

    def is_signed_in(self, cookie: str) -> bool:
        return all(data.get("user") for data in self.final_data[cookie])

    def final_sessions(self, key: Key) -> list[Data]:
        """Return the data that the key and its descendants open after the run."""
        opened = [self.final_data[each.cookies[-1]][0] for each in key.with_descendants()]
        return [data for data in opened if data.get("user")]

    def is_forked(self, root: Key) -> bool:
        """Whether concurrent sign-ins have made two sessions of one."""
        return len(self.final_sessions(root)) > 1

    @cached_property
    def changes_by_root(self) -> list[tuple[Key, list[KeyChanges]]]:
        """The first key of each session, and all changes under it and its descendants."""
        entries = [entry for visit in self.visits for entry in self.changes_of(visit)]
        return [
            (root, [entry for entry in entries if entry.key in list(root.with_descendants())])
            for root in self.roots
        ]

    def changes_of(self, visit: Visit) -> Iterator[KeyChanges]:
        cookie = visit.cookie if visit.set_cookie is None else visit.set_cookie
        first, last = visit.all_changes[0], visit.all_changes[-1]
        has_key = visit.set_cookie is not None or not last.is_new
        if visit.outcome == "saved" and has_key and cookie in self.keys:
            yield KeyChanges(self.keys[cookie], visit, last, is_certain=True)
            if first is last:
                return
        if visit.cookie in self.keys and not first.is_new:
            yield KeyChanges(self.keys[visit.cookie], visit, first, is_certain=False)

    def writes_are_kept(self) -> Iterator[str]:
        for root, entries in self.changes_by_root:
            writers: dict[str, list[KeyChanges]] = defaultdict(list)
            for entry in entries:
                for name in entry.changes.written:
                    writers[name].append(entry)
            for name, writes in writers.items():
                yield from self.lost_writes(root, name, writes)
            for entry in filter(self.must_be_kept, entries):
                for name in entry.changes.removed:
                    if all(name in data for data in self.final_sessions(entry.key)):
                        yield f"{name}, which R{entry.visit.number} had removed, is stored"
            removed = {name for entry in entries for name in entry.changes.removed}
            unchanged = root.initial_data.keys() - writers.keys() - removed - {"count"}
            for data in () if self.may_have_ended(root) else self.final_sessions(root):
                lost = sorted(
                    name for name in unchanged if data.get(name) != root.initial_data[name]
                )
                if lost:
                    yield f"{', '.join(lost)} of the initial data"

    def must_be_kept(self, entry: KeyChanges) -> bool:
        return entry.is_certain and not self.may_have_ended(entry.key)

    def lost_writes(self, root: Key, name: str, writes: list[KeyChanges]) -> Iterator[str]:
        """The stored value must be of the last request, or of one that ran at the same time."""
        values = [
            value
            for write in writes
            if self.is_forked(root) or not self.is_overwritten(write, writes)
            for value in write.values(name)
        ]
        for write in filter(self.must_be_kept, writes):
            stored = [data.get(name) for data in self.final_sessions(write.key)]
            if not any(value in values for value in stored):
                yield f"{name} of R{write.visit.number}: {stored}, and not one of {values}"

    def is_overwritten(self, write: KeyChanges, writes: list[KeyChanges]) -> bool:
        """Whether a later request certainly wrote the same name."""
        return any(
            later.is_certain
            and later.visit.started_at >= write.visit.answered_at
            and later is not write
            for later in writes
        )

    def increments_add_up(self) -> Iterator[str]:
        """Check the first session only. A request may increment in another before its sign-in."""
        # Concurrent increments of both engines are merged like other values: the later one wins.
        uses_both_engines = "new" in self.processes and len(self.processes - {"movesessions"}) > 1
        if uses_both_engines or self.may_have_ended(self.root) or self.is_forked(self.root):
            return
        entries = dict(self.changes_by_root)[self.root]
        minimum = sum(entry.changes.increments for entry in entries if entry.is_certain)
        maximum = sum(entry.changes.increments for entry in entries)
        for data in self.final_sessions(self.root):
            if not minimum <= data.get("count", 0) <= maximum:
                yield f"{data.get('count', 0)}, and not {minimum} to {maximum}"

    def no_half_writes(self) -> Iterator[str]:
        loaded = [visit.loaded for visit in self.visits if visit.loaded]
        final = [data for opened in self.final_data.values() for data in opened]
        for data in (*loaded, *final):
            for name in data:
                if name.startswith(("one", "two")):
                    twin = {"one": "two", "two": "one"}[name[:3]] + name[3:]
                    if twin not in data:
                        yield f"{name} without {twin}"

    def stores_agree(self) -> Iterator[str]:
        """Compare the data in each process that has the other engine's sessions, and in the row."""
        for cookie, opened in self.final_data.items():
            if cookie in self.history.in_both_stores:
                yield f"{cookie} is in both stores"
            elif any(data != opened[0] for data in opened):
                yield f"{cookie}: {opened}"
