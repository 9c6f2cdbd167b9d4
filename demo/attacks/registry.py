"""What an attack is, and the attacks by name, in the order of the page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from django.utils.functional import Promise

from demo.view_source import source_of


@dataclass(frozen=True)
class Trial:
    """One result of an attack: its target, its outcome, and whether the target withstood it."""

    target: str
    outcome: str
    withstood: bool


Run = Callable[[], Iterator[Trial]]


@dataclass(frozen=True)
class Attempt:
    """An attack as the page shows it.

    ``harm`` says what it does where it succeeds, and ``why`` explains the outcomes of all targets.
    """

    run: Run
    title: Promise
    about: Promise
    harm: Promise
    why: Promise

    @property
    def name(self) -> str:
        return self.run.__name__.replace("_", "-")

    @cached_property
    def source(self) -> str:
        return source_of(self.run)


ATTEMPTS: dict[str, Attempt] = {}


def attempt(title: Promise, about: Promise, harm: Promise, why: Promise) -> Callable[[Run], Run]:
    """Register a function that yields the trials of an attack."""

    def register(run: Run) -> Run:
        registered = Attempt(run, title, about, harm, why)
        ATTEMPTS[registered.name] = registered
        return run

    return register
