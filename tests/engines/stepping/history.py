"""Runs a plan, and records each request and each store call."""

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest
from greenlet import getcurrent

from cookieproj.engines.exceptions import StoreError
from tests.engines.handover_switch import is_cookie

from .gates import Actor, StoreCall
from .plans import DELETIONS, Part, Plan
from .requests import Data, Visit, initial_data, record_loaded_data, run_step
from .setups import REFUSED, UNAVAILABLE, Setup

OUTCOMES = {200: "saved", REFUSED: "refused", 500: "refused", UNAVAILABLE: "failed"}


@dataclass
class History:
    """The run of a plan. One browser sends all requests and keeps the latest session cookie."""

    setup: Setup
    plan: Plan
    visits: list[Visit] = field(default_factory=list)
    calls: list[StoreCall] = field(default_factory=list)
    moments: int = 0
    # All session cookies that the browser received, and its current one.
    cookies: list[str] = field(default_factory=list)
    cookie: str | None = None
    # The cookies that a process of the new engine created.
    created_by_new: set[str] = field(default_factory=set)
    # What each cookie opens after the run, in each process of ``setup.complete_processes``.
    final_data: dict[str, list[Data]] = field(default_factory=dict)
    # The cookies whose session is still in the old store after the new engine has opened it.
    in_both_stores: set[str] = field(default_factory=set)
    # An exception that no request may raise.
    error: Exception | None = None

    @property
    def is_on_server(self) -> bool:
        """Whether no process of the plan keeps sessions in cookies."""
        processes = [self.setup.processes.get(part.process) for part in self.plan.parts]
        return all(process is None or process.merges for process in processes)

    @property
    def has_one_cookie_kind(self) -> bool:
        """Whether all requests get the same kind of cookie: no cookie engine, or one process."""
        return self.is_on_server or len({part.process for part in self.plan.parts}) == 1

    def now(self) -> int:
        """Return a moment later than all previous ones."""
        self.moments += 1
        return self.moments

    def receive(self, cookie: str | None) -> None:
        self.cookie = cookie or None
        if cookie and cookie not in self.cookies:
            self.cookies.append(cookie)

    def create_session(self) -> None:
        session = self.setup.first.Store()
        session.update(initial_data())
        session.save()
        self.receive(session.session_key)

    def run_actors(self) -> None:
        actors = [
            Actor(number, self.action(number, part), self.plan.failures_of(number), self.calls)
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

    def action(self, number: int, part: Part) -> Any:
        if part.process == "movesessions":
            return self.move
        if part.steps[0] in DELETIONS:
            return lambda: self.delete(number, part)
        return lambda: self.visit(number, part)

    def move(self) -> None:
        try:
            self.setup.movesessions()
        except StoreError:
            return

    def start_visit(self, number: int, part: Part) -> Visit:
        visit = Visit(number, part.process, self.cookie, self.now())
        self.visits.append(visit)
        return visit

    def delete(self, number: int, part: Part) -> None:
        """Delete the session like a command or the admin."""
        visit = self.start_visit(number, part)
        visit.ended_at["delete"] = self.now()
        Store = self.setup.processes[part.process].Store  # noqa: N806 - a class
        try:
            # The admin and the commands get a cookie that is a session from the session only.
            if part.steps[0] == "delete" or is_cookie(visit.cookie):
                Store(visit.cookie).delete()
            else:
                Store().delete(visit.cookie)
        except StoreError:
            self.finish_visit(visit, "failed")
        else:
            self.finish_visit(visit, "saved")

    def visit(self, number: int, part: Part) -> None:
        visit = self.start_visit(number, part)
        request = HttpRequest()
        if visit.cookie:
            request.COOKIES[settings.SESSION_COOKIE_NAME] = visit.cookie

        def view(session: Any) -> None:
            for count, step in enumerate(part.steps):
                if self.is_too_late(visit):
                    return
                run_step(session, visit, step, f"{number}_{count}", self.now)

        request.view = view  # type: ignore[attr-defined]
        try:
            response = self.setup.processes[part.process].middleware(request)
        except SessionInterrupted:
            self.finish_visit(visit, "refused")
            return
        except StoreError:
            # Our middleware answers with a 503, Django's does not.
            self.finish_visit(visit, "failed")
            return
        session = request.session
        if "sign_out" not in visit.ended_at and hasattr(session, "_session_cache"):
            record_loaded_data(session, visit)
        cookie = response.cookies.get(settings.SESSION_COOKIE_NAME)
        if cookie is not None and not self.is_too_late(visit):
            visit.set_cookie = cookie.value
        # A browser may receive responses in another order than the server sends them.
        getcurrent().pause()
        self.finish_visit(visit, OUTCOMES[response.status_code])
        if visit.set_cookie is not None:
            if visit.process == "new" and visit.set_cookie not in self.cookies:
                self.created_by_new.add(visit.set_cookie)
            self.receive(visit.set_cookie)

    def is_too_late(self, visit: Visit) -> bool:
        """Whether a process without a handover got it after its session moved to the new store."""
        return visit.process == "old" and visit.loaded_nobody and self.has_moved(visit)

    def has_moved(self, visit: Visit) -> bool:
        """Whether the new store has its session, which may be in the old one as well."""
        return visit.cookie in self.created_by_new or any(
            call.name.endswith("compare_and_delete")
            and (call.result is True or call.failure)
            and str(visit.cookie) in call.key
            and self.plan.parts[call.actor].process in {"new", "movesessions"}
            for call in self.calls
        )

    def finish_visit(self, visit: Visit, outcome: str) -> None:
        visit.outcome = outcome
        visit.had_store_failure = getcurrent().has_failed
        visit.answered_at = self.now()
        visit.calls_before_answer = len(self.calls)
        visit.all_changes.append(visit.changes)

    def read_final_data(self) -> None:
        """Open each cookie after all requests, the browser's current one first."""
        first = [self.cookie] if self.cookie else []
        for cookie in dict.fromkeys([*first, *self.cookies]):
            last, *others = self.setup.complete_processes
            self.final_data[cookie] = [dict(last.Store(cookie).items())]
            if others and not self.setup.share_rows and self.is_in_old_store(cookie):
                self.in_both_stores.add(cookie)
            self.final_data[cookie] += [dict(process.Store(cookie).items()) for process in others]
        if self.setup.has_copies:
            self.setup.clear_cache()
            for cookie, opened in self.final_data.items():
                opened.append(dict(self.setup.last.Store(cookie).items()))

    def is_in_old_store(self, cookie: str) -> bool:
        return "user" in dict(self.setup.first.Store(cookie).items())


def run(setup: Setup, plan: Plan) -> History:
    setup.empty()
    history = History(setup, plan)
    history.create_session()
    try:
        history.run_actors()
    except Exception as error:  # noqa: BLE001 - any exception of a request breaks a promise
        history.error = error
    else:
        history.read_final_data()
    return history
