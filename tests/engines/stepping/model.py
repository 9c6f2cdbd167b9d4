"""What a session may be, whatever the order of the trips, and whichever of them failed."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.engines.handover_switch import is_cookie

from .history import Course
from .requests import BEGUN, Data, Line, Visit


@dataclass(eq=False)
class Key:
    """What the browser was given for somebody who is signed in: a key, and what stands for it."""

    cookies: list[str]
    # The data that the session began with.
    begun: Data
    children: list["Key"] = field(default_factory=list)

    @property
    def line(self) -> Iterator["Key"]:
        """It, and those that replaced it, and so on."""
        yield self
        for child in self.children:
            yield from child.line


@dataclass
class Deed:
    """What one request did to a session, and whether it was answered as saved."""

    key: Key
    visit: Visit
    line: Line
    is_sure: bool

    def values(self, name: str) -> list[Any]:
        """Those that may have been stored."""
        found = self.line.wrote.get(name, [])
        return found[-1:] if self.is_sure else found


class Model:
    """The promises, each a method that yields a sentence where it is broken."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.visits = course.visits
        self.opens = course.opens
        self.is_handover = len(course.world.processes) > 1
        self.processes = {part.process for part in course.plan.parts}
        self.root = Key(course.cookies[:1], BEGUN)
        self.keys = {course.cookies[0]: self.root}
        self.roots = [self.root]
        for visit in sorted(self.visits, key=lambda visit: visit.answered):
            if visit.outcome == "saved" and visit.answer and visit.answer not in self.keys:
                self.delete_from_old(visit, visit.answer)

    def delete_from_old(self, visit: Visit, cookie: str) -> None:
        """The key that it was answered with."""
        before = None if visit.line.is_new else self.keys.get(visit.cookie or "")
        if before and not visit.line.signed_in:
            before.cookies.append(cookie)
            self.keys[cookie] = before
        elif before or visit.line.signed_in:
            self.keys[cookie] = key = Key([cookie], {})
            (before.children if before else self.roots).append(key)

    def broken(self) -> Iterator[tuple[str, str]]:
        """Each promise that is, with the sentence."""
        if self.course.error:
            yield "no error", repr(self.course.error)
            return
        promises = [self.ended_stays_ended, self.nobody_is_out, self.never_half]
        if self.course.is_merged and not self.halfway:
            promises += [self.what_was_written_is_there, self.adds_count, self.all_stores_agree]
        elif self.is_exchanged:
            promises.append(self.what_was_written_is_there)
        for promise in promises:
            for sentence in promise():
                yield promise.__name__.replace("_", " "), sentence

    @property
    def is_exchanged(self) -> bool:
        """Whether all came with the key of a server, for which they were answered with cookies.

        What they write meets in the old store, until the browser sends one of those.
        """
        return not is_cookie(self.course.cookies[0]) and all(
            (visit.process, visit.cookie) == ("new", self.course.cookies[0])
            for visit in self.visits
        )

    @cached_property
    def halfway(self) -> set[int]:
        """The actors that failed in the midst of a move, so that each store may hold the session.

        The log says so. What is done to the one is not seen in the other, until ``movesessions``
        takes what has stayed.
        """
        moving, halfway = set(), set()
        for trip in self.course.trips if self.is_handover else ():
            if trip.name.endswith(("insert", "add")):
                moving.add(trip.actor)
            if trip.failure and trip.actor in moving:
                halfway.add(trip.actor)
        return halfway

    def ended_stays_ended(self) -> Iterator[str]:
        for visit in filter(self.has_ended, self.visits):
            for cookie in self.ended_by(visit):
                for later in self.visits:
                    if later.cookie == cookie and later.began >= visit.answered and later.found:
                        yield f"R{later.number} opened what R{visit.number} had ended"
                if any(self.opens.get(cookie, ())):
                    yield f"{cookie}, which R{visit.number} had ended, opens"

    def ended_by(self, visit: Visit) -> list[str]:
        """What opens nothing after it. A cookie that is the session itself cannot be ended."""
        key = self.keys.get(visit.cookie or "")
        if key and self.course.is_of_one:
            return [each for each in key.cookies if self.course.is_merged or not is_cookie(each)]
        return [visit.cookie] if visit.cookie and not is_cookie(visit.cookie) else []

    def has_ended(self, visit: Visit) -> bool:
        """Whether the key with which it came is over for good with its answer."""
        if visit.outcome != "saved" or not visit.ends:
            return False
        if visit.has_failed and (self.is_handover or visit.ends.keys() == {"sign_in"}):
            # As the log says, the old key may still open, or a late request store it again.
            return False
        if visit.ends.keys() == {"sign_in"} and visit.line.is_new:
            return False
        if any(self.is_at_once(visit, number) for number in self.halfway):
            return False
        return visit.process != "old" or not (self.halfway or self.course.has_moved(visit))

    def is_at_once(self, visit: Visit, actor: int) -> bool:
        """Whether that actor was under way as well."""
        others = [each for each in self.visits if each.number == actor]
        return not others or others[0].overlaps(visit)

    def nobody_is_out(self) -> Iterator[str]:
        for visit in self.visits if self.course.is_of_one else ():
            if visit.found_nobody and not self.may_find_nobody(visit):
                yield f"R{visit.number} found nobody"
            if visit.outcome == "refused" and not visit.ends and not self.may_find_nobody(visit):
                yield f"R{visit.number} was refused"
        if not self.course.is_merged:
            yield from self.the_browser_is_out()
            return
        for cookie, key in self.keys.items():
            if not self.endings(key) and not self.is_open(cookie):
                yield f"{cookie} does not open"

    def the_browser_is_out(self) -> Iterator[str]:
        """With what it holds in the end, unless that came late, from before a sign-in."""
        cookie = self.course.cookie or ""
        if any(visit.found_nobody or self.ends_more(visit) for visit in self.visits):
            return
        if any(self.is_late(visit) for visit in self.visits if visit.answer == cookie):
            return
        if not cookie or not self.is_open(cookie):
            yield f"the browser, with {cookie}"

    def is_late(self, visit: Visit) -> bool:
        """Whether another ended a key, or exchanged it back, in the time that it took."""
        return any(
            (other.ends or not self.course.is_of_one) and other.overlaps(visit)
            for other in self.visits
            if other is not visit
        )

    def may_find_nobody(self, visit: Visit) -> bool:
        key = self.keys.get(visit.cookie or "")
        if key is None or (visit.process == "old" and self.course.has_moved(visit)):
            return True
        endings = self.endings(key) if self.course.is_merged else filter(self.may_end, self.visits)
        return any(
            min(other.ends.values()) <= visit.answered for other in endings if other is not visit
        )

    def endings(self, key: Key) -> list[Visit]:
        """Those that have ended it, or may have."""
        return [each for each in self.visits if each.cookie in key.cookies and self.may_end(each)]

    def may_end(self, visit: Visit) -> bool:
        if visit.ends.keys() == {"sign_in"}:
            # A new key that was not answered leaves the old one as it is.
            return visit.outcome == "saved" or visit.is_settled
        return bool(visit.ends)

    def ends_more(self, visit: Visit) -> bool:
        """Whether it ends the session, and not only one key of it; or may have done so."""
        return self.may_end(visit) and (
            visit.ends.keys() != {"sign_in"} or visit.outcome != "saved"
        )

    def may_be_over(self, key: Key) -> bool:
        return any(
            self.ends_more(visit) or self.is_unheard(visit)
            for each in key.line
            for visit in self.endings(each)
        )

    def is_unheard(self, visit: Visit) -> bool:
        """Whether it asked the old engine alone for a new key, while others had the session."""
        return visit.process == "old" and "new" in self.processes

    def is_open(self, cookie: str) -> bool:
        return all(data.get("user") for data in self.opens[cookie])

    def tips(self, key: Key) -> list[Data]:
        """What is found in the end under the key, and under those that came of it."""
        found = [self.opens[each.cookies[-1]][0] for each in key.line]
        return [data for data in found if data.get("user")]

    def is_forked(self, root: Key) -> bool:
        """Whether two at once have asked for a new key, so that there are two sessions."""
        return len(self.tips(root)) > 1

    @cached_property
    def families(self) -> list[tuple[Key, list[Deed]]]:
        """Each session, and what was done to it under its keys."""
        deeds = [deed for visit in self.visits for deed in self.deeds(visit)]
        return [
            (root, [deed for deed in deeds if deed.key in list(root.line)]) for root in self.roots
        ]

    def deeds(self, visit: Visit) -> Iterator[Deed]:
        cookie = visit.cookie if visit.answer is None else visit.answer
        first, last = visit.lines[0], visit.lines[-1]
        has_key = visit.answer is not None or not last.is_new
        if visit.outcome == "saved" and has_key and cookie in self.keys:
            yield Deed(self.keys[cookie], visit, last, is_sure=True)
            if first is last:
                return
        if visit.cookie in self.keys and not first.is_new:
            yield Deed(self.keys[visit.cookie], visit, first, is_sure=False)

    def what_was_written_is_there(self) -> Iterator[str]:
        for root, deeds in self.families:
            writers: dict[str, list[Deed]] = defaultdict(list)
            for deed in deeds:
                for name in deed.line.wrote:
                    writers[name].append(deed)
            for name, wrote in writers.items():
                yield from self.lost(root, name, wrote)
            for deed in deeds:
                for name in deed.line.removed if self.counts(deed) else ():
                    if all(name in data for data in self.tips(deed.key)):
                        yield f"{name}, which R{deed.visit.number} had removed"
            removed = {name for deed in deeds for name in deed.line.removed}
            untouched = root.begun.keys() - writers.keys() - removed - {"count"}
            for data in () if self.may_be_over(root) else self.tips(root):
                lost = sorted(name for name in untouched if data.get(name) != root.begun[name])
                if lost:
                    yield f"{', '.join(lost)} of the beginning"

    def counts(self, deed: Deed) -> bool:
        return deed.is_sure and not self.may_be_over(deed.key)

    def lost(self, root: Key, name: str, wrote: list[Deed]) -> Iterator[str]:
        """Unless what is there came last, or was written at the same time as that."""
        values = [
            value
            for deed in wrote
            if self.is_forked(root) or not self.is_replaced(deed, wrote)
            for value in deed.values(name)
        ]
        for deed in filter(self.counts, wrote):
            found = [data.get(name) for data in self.tips(deed.key)]
            if not any(value in values for value in found):
                yield f"{name} of R{deed.visit.number}: {found}, and not one of {values}"

    def is_replaced(self, deed: Deed, wrote: list[Deed]) -> bool:
        """Whether somebody came after it, and wrote as well."""
        return any(
            later.is_sure and later.visit.began >= deed.visit.answered and later is not deed
            for later in wrote
        )

    def adds_count(self) -> Iterator[str]:
        """In the session of the beginning; another may have counted before anybody signed in."""
        # What both engines have added at once is merged as any key is: the later wins.
        is_of_both = "new" in self.processes and len(self.processes - {"movesessions"}) > 1
        if is_of_both or self.may_be_over(self.root) or self.is_forked(self.root):
            return
        deeds = dict(self.families)[self.root]
        least = sum(deed.line.added for deed in deeds if deed.is_sure)
        most = sum(deed.line.added for deed in deeds)
        for data in self.tips(self.root):
            if not least <= data.get("count", 0) <= most:
                yield f"{data.get('count', 0)}, and not {least} to {most}"

    def never_half(self) -> Iterator[str]:
        seen = [visit.found for visit in self.visits if visit.found]
        for data in (*seen, *(data for opened in self.opens.values() for data in opened)):
            for name in data:
                if name.startswith(("one", "two")):
                    twin = {"one": "two", "two": "one"}[name[:3]] + name[3:]
                    if twin not in data:
                        yield f"{name} without {twin}"

    def all_stores_agree(self) -> Iterator[str]:
        """Whoever is asked: each engine that hands over from the other, and the row itself."""
        for cookie, opened in self.opens.items():
            if cookie in self.course.left:
                yield f"{cookie} is in both stores"
            elif any(data != opened[0] for data in opened):
                yield f"{cookie}: {opened}"
