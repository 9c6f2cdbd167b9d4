"""A browser and the two engines of a switch, for the tests of handover."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from importlib import import_module
from itertools import permutations
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from cookieproj.engines import encrypted_cookies, signed_cookies
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.handover.movable_engines import handover_engine
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.engines.store import Store
from cookieproj.profiles import PROFILES
from tests.families import IN_COOKIES
from tests.stores import Step, after, before, instead, steps_of

# Switches between the two cookie engines are tested in test_handover_between_cookies.py.
PAIRS = [pair for pair in permutations(PROFILES, 2) if not set(pair) <= IN_COOKIES]

# Pairs of server engines that do not share a store.
SERVER_PAIRS = [
    pair for pair in PAIRS if not IN_COOKIES & set(pair) and set(pair) != {"db", "cached_db"}
]


def only_switches(pairs: Iterable[tuple[str, str]]) -> pytest.MarkDecorator:
    """Run a test on these switches only."""
    return pytest.mark.parametrize("switch", list(pairs), indirect=True, ids=" to ".join)


View = Callable[[Any], Any]


@dataclass
class Switch:
    """A switch from the ``old`` engine to the ``new`` one. Its methods change the settings."""

    old: str
    new: str
    settings: Any

    def __post_init__(self) -> None:
        self.before()

    def before(self) -> None:
        self.run(self.old, "")

    def make(self) -> None:
        self.run(self.new, self.old)

    def back(self) -> None:
        self.run(self.old, self.new)

    def run(self, engine: str, previous: str) -> None:
        self.settings.SESSION_ENGINE = f"cookieproj.engines.{engine}"
        self.settings.SESSION_HANDOVER_FROM = previous

    def store(self, engine: str) -> Any:
        """Return the engine without the handover."""
        return handover_engine(engine).store

    def engine(self, side: str) -> Any:
        """Return the class of the "old" or the "new" engine."""
        return import_module(f"cookieproj.engines.{getattr(self, side)}").SessionStore

    def place(self, engine: str) -> Store:
        """Return the engine's store, without the handover."""
        return store_of(self.store(engine))

    def expiry(self, engine: str, key: str | None) -> Any:
        """Return the expiry of the session in the engine's store."""
        entry = self.place(engine).read(key or "", with_expiry=True)
        return entry and entry.expires

    def stored(self, engine: str, key: str | None) -> Any:
        """Return the session's entry in the engine's store, with its expiry."""
        entry = self.place(engine).read(key or "", with_expiry=True)
        assert entry is not None
        return entry

    @property
    def keeps_the_key(self) -> bool:
        return not IN_COOKIES & {self.old, self.new}

    @property
    def is_followed(self) -> bool:
        """Whether the new engine sees the writes of a process that runs the old engine alone.

        It sees no cookies that such a process signs, and no rows that have a copy in a cache.
        """
        return self.old not in IN_COOKIES and (self.old, self.new) != ("db", "cached_db")

    @property
    def share_rows(self) -> bool:
        return {self.old, self.new} == {"db", "cached_db"}

    def __str__(self) -> str:
        return f"{self.old} to {self.new}"


def is_cookie(text: str | None) -> bool:
    """Whether the text is a session cookie, signed or encrypted, and not a session key."""
    return signed_cookies.SessionStore.is_cookie(text) or (
        encrypted_cookies.SessionStore.is_cookie(text)
    )


class Browser:
    """A browser that keeps the session cookie as the middleware sets and deletes it."""

    def __init__(self, cookie: str | None = None, middleware: Any = SessionMiddleware) -> None:
        self.cookie = cookie
        self.middleware = middleware
        self.max_age: Any = None
        self.response: Any = None

    def visit(self, view: View, status: int = 200, lost: bool = False) -> Any:
        """Send a request whose view gets the session, and return what the view returns.

        A response that is ``lost`` does not reach the browser.
        """
        results: list[Any] = []

        def respond(request: HttpRequest) -> HttpResponse:
            try:
                results.append(view(request.session))
            except StoreUnavailableError as error:
                return middleware.process_exception(request, error) or HttpResponse()
            return HttpResponse(status=status)

        middleware = self.middleware(respond)
        self.response = middleware(self.request())
        if not lost:
            self.receive(self.response.cookies)
        return results[0] if results else None

    def request(self) -> HttpRequest:
        request = RequestFactory().get("/")
        if self.cookie:
            request.COOKIES[settings.SESSION_COOKIE_NAME] = self.cookie
        return request

    def receive(self, cookies: SimpleCookie) -> None:
        cookie = cookies.get(settings.SESSION_COOKIE_NAME)
        if cookie is not None:
            self.cookie = cookie.value or None
            self.max_age = cookie["max-age"]

    def set(self, **values: Any) -> None:
        self.visit(lambda session: session.update(values))

    def read(self, **how: Any) -> dict[str, Any]:
        data: dict[str, Any] = self.visit(lambda session: dict(session.items()), **how)
        return data

    def copy(self) -> "Browser":
        return Browser(self.cookie, self.middleware)


def flush(session: SessionBase) -> None:
    session.flush()


def browser_of_moved_session(switch: Switch) -> Browser:
    """Return a browser with a session of the old engine, after the switch to the new one."""
    browser = Browser()
    browser.set(a=1)
    switch.make()
    return browser


def raise_unreachable(*arguments: Any, **options: Any) -> None:
    """Replaces a step of a store, as if the store did not answer."""
    raise StoreUnavailableError("the store", "It does not answer.")


@contextmanager
def unreachable(switch: Switch, side: str, *steps: str) -> Iterator[None]:
    """Make these steps of the engine's store fail as unreachable."""
    with steps_of(switch.engine(side), **dict.fromkeys(steps, instead(raise_unreachable))):
        yield


@contextmanager
def meanwhile(
    switch: Switch, step: tuple[str, str, str], *actions: Callable[[], Any]
) -> Iterator[None]:
    """Run the actions in turn, each right before or after the next such step of that store.

    All actions must have run when the block ends. Steps that an action takes do not count.
    """
    side, name, moment = step
    pending = list(actions)
    is_acting = False

    def act() -> None:
        nonlocal is_acting
        if not pending or is_acting:
            return
        is_acting = True
        try:
            pending.pop(0)()
        finally:
            is_acting = False

    change = before(act) if moment == "before" else after(act)
    with steps_of(switch.engine(side), **{name: change}):
        yield
    assert not pending, f"{side} {name} was called only {len(actions) - len(pending)} times"


# The methods of a store that a session calls.
STEPS = (
    *("load", "read", "refresh", "insert", "compare_and_swap", "touch", "put"),
    *("compare_and_delete", "delete", "purge", "exists"),
)

Meanwhile = Callable[[Callable[[], object]], AbstractContextManager[None]]


class Gaps:
    """Runs an action in one of the gaps between the steps that a request takes in the two stores.

    A step within another step does not count, nor does a step of the action.
    """

    def __init__(self, switch: Switch) -> None:
        self.switch = switch
        self.at = 0
        self.steps: list[str] = []
        self.has_fired = False

    @contextmanager
    def meanwhile(self, action: Callable[[], object]) -> Iterator[None]:
        """Run the action before the step with the number ``at``, or after the last step."""
        self.steps, self.has_fired = [], False
        inside = False

        def wrapper_for(side: str, name: str) -> Callable[[Step], Step]:
            def wrapper(step: Step) -> Step:
                def wrapped(*arguments: Any, **options: Any) -> Any:
                    nonlocal inside
                    if inside:
                        return step(*arguments, **options)
                    inside = True
                    try:
                        if len(self.steps) == self.at and not self.has_fired:
                            self.has_fired = True
                            action()
                        self.steps.append(f"{side} {name}")
                        return step(*arguments, **options)
                    finally:
                        inside = False

                return wrapped

            return wrapper

        with ExitStack() as stack:
            for side in ("old", "new"):
                steps = {name: wrapper_for(side, name) for name in STEPS}
                stack.enter_context(steps_of(self.switch.engine(side), **steps))
            yield
        if not self.has_fired:
            # The last gap is after all steps.
            action()


def at_each_gap(race: Callable[[Switch, Meanwhile], None]) -> Callable[[Switch], None]:
    """Run the race with the action in the first gap, the second, and so on."""

    def test(switch: Switch) -> None:
        gaps = Gaps(switch)
        while True:
            switch.before()
            try:
                race(switch, gaps.meanwhile)
            except Exception as error:
                error.add_note(f"In gap {gaps.at} of {gaps.steps}.")
                raise
            if not gaps.has_fired:
                break
            gaps.at += 1
        # At least one session is read and saved.
        assert gaps.at >= 2, gaps.steps

    test.__name__, test.__doc__ = race.__name__, race.__doc__
    return test
