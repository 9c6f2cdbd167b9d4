"""A plan as it went: what each request found, did and was answered, trip by trip."""

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest
from greenlet import getcurrent

from cookieproj.engines.exceptions import StoreError
from tests.engines.handover_switch import is_cookie

from .gates import Actor, Trip
from .plans import DELETE, Part, Plan
from .requests import Data, Visit, begun, do, look
from .setups import REFUSED, UNAVAILABLE, World

OUTCOMES = {200: "saved", REFUSED: "refused", 500: "refused", UNAVAILABLE: "failed"}


@dataclass
class Course:
    """What became of a plan. A browser makes all requests, and keeps the answer that came last."""

    world: World
    plan: Plan
    visits: list[Visit] = field(default_factory=list)
    trips: list[Trip] = field(default_factory=list)
    moments: int = 0
    # Each cookie that the browser ever had, and the one that it has.
    cookies: list[str] = field(default_factory=list)
    cookie: str | None = None
    # Those that a process of the new engine made.
    made_by_new: set[str] = field(default_factory=set)
    # What each of them opens in the end, in each process that knows all there is to know.
    opens: dict[str, list[Data]] = field(default_factory=dict)
    # Those that the old store has, after the new one was asked for it: that is in both.
    left: set[str] = field(default_factory=set)
    # What no request should have raised.
    error: Exception | None = None

    @property
    def is_merged(self) -> bool:
        """Whether no browser holds the session at any time."""
        processes = [self.world.processes.get(part.process) for part in self.plan.parts]
        return all(process is None or process.merges for process in processes)

    @property
    def is_of_one(self) -> bool:
        """Whether all processes know one engine alone for the last, or none is of cookies."""
        return self.is_merged or len({part.process for part in self.plan.parts}) == 1

    def now(self) -> int:
        """A moment later than any before."""
        self.moments += 1
        return self.moments

    def keep(self, cookie: str | None) -> None:
        self.cookie = cookie or None
        if cookie and cookie not in self.cookies:
            self.cookies.append(cookie)

    def begin(self) -> None:
        session = self.world.first.Store()
        session.update(begun())
        session.save()
        self.keep(session.session_key)

    def go(self) -> None:
        actors = [
            Actor(number, self.work(number, part), self.plan.failures_of(number), self.trips)
            for number, part in enumerate(self.plan.parts)
        ]
        choices = iter(self.plan.choices)
        current = actors[0]
        while alive := [actor for actor in actors if not actor.dead]:
            choice = next(choices, None)
            others = [actor for actor in alive if actor is not current]
            if others and (choice is not None or current.dead):
                current = others[(choice or 0) % len(others)]
            current.switch()

    def work(self, number: int, part: Part) -> Any:
        if part.process == "movesessions":
            return self.move
        if part.verbs[0] in DELETE:
            return lambda: self.delete(number, part)
        return lambda: self.visit(number, part)

    def move(self) -> None:
        try:
            self.world.movesessions()
        except StoreError:
            return

    def begun_visit(self, number: int, part: Part) -> Visit:
        visit = Visit(number, part.process, self.cookie, self.now())
        self.visits.append(visit)
        return visit

    def delete(self, number: int, part: Part) -> None:
        """What a command, or a page of the staff, does to a session."""
        visit = self.begun_visit(number, part)
        visit.ends["delete"] = self.now()
        Store = self.world.processes[part.process].Store  # noqa: N806 - a class
        try:
            # A page, or a command, knows no cookie but by the session.
            if part.verbs[0] == "delete" or is_cookie(visit.cookie):
                Store(visit.cookie).delete()
            else:
                Store().delete(visit.cookie)
        except StoreError:
            self.answered(visit, "failed")
        else:
            self.answered(visit, "saved")

    def visit(self, number: int, part: Part) -> None:
        visit = self.begun_visit(number, part)
        request = HttpRequest()
        if visit.cookie:
            request.COOKIES[settings.SESSION_COOKIE_NAME] = visit.cookie

        def view(session: Any) -> None:
            for count, verb in enumerate(part.verbs):
                if self.is_gone(visit):
                    return
                do(session, visit, verb, f"{number}_{count}", self.now)

        request.view = view  # type: ignore[attr-defined]
        try:
            response = self.world.processes[part.process].middleware(request)
        except SessionInterrupted:
            self.answered(visit, "refused")
            return
        except StoreError:
            # With Django's middleware, a page that says so.
            self.answered(visit, "failed")
            return
        session = request.session
        if "sign_out" not in visit.ends and hasattr(session, "_session_cache"):
            look(session, visit)
        cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
        if cookie is not None and not self.is_gone(visit):
            visit.answer = cookie.value
        # Answers arrive in another order than they were made in.
        getcurrent().pause()
        self.answered(visit, OUTCOMES[response.status_code])
        if visit.answer is not None:
            if visit.process == "new" and visit.answer not in self.cookies:
                self.made_by_new.add(visit.answer)
            self.keep(visit.answer)

    def is_gone(self, visit: Visit) -> bool:
        """Whether it came to a process of the old engine alone, after its session had left that."""
        return visit.process == "old" and visit.found_nobody and self.has_moved(visit)

    def has_moved(self, visit: Visit) -> bool:
        """Whether a process of the new engine has its session, taken from the old store or not."""
        return visit.cookie in self.made_by_new or any(
            trip.name.endswith("compare_and_delete")
            and (trip.result is True or trip.failure)
            and str(visit.cookie) in trip.key
            and self.plan.parts[trip.actor].process in {"new", "movesessions"}
            for trip in self.trips
        )

    def answered(self, visit: Visit, outcome: str) -> None:
        visit.outcome = outcome
        visit.has_failed = getcurrent().has_failed
        visit.answered = self.now()
        visit.trips = len(self.trips)
        visit.lines.append(visit.line)

    def end(self) -> None:
        """What a request finds that comes after all of them, the browser's own cookie first."""
        first = [self.cookie] if self.cookie else []
        for cookie in dict.fromkeys([*first, *self.cookies]):
            last, *others = self.world.aware
            self.opens[cookie] = [dict(last.Store(cookie).items())]
            if others and not self.world.share_rows and self.is_in_old_store(cookie):
                self.left.add(cookie)
            self.opens[cookie] += [dict(process.Store(cookie).items()) for process in others]
        if self.world.has_copies:
            self.world.forget_copies()
            for cookie, opened in self.opens.items():
                opened.append(dict(self.world.last.Store(cookie).items()))

    def is_in_old_store(self, cookie: str) -> bool:
        return "user" in dict(self.world.first.Store(cookie).items())


def play(world: World, plan: Plan) -> Course:
    world.empty()
    course = Course(world, plan)
    course.begin()
    try:
        course.go()
    except Exception as error:  # noqa: BLE001 - whatever a request raised
        course.error = error
    else:
        course.end()
    return course
