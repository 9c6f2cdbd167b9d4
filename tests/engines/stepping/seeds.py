"""A schedule is named by its seed, for example ``db to cache:123``: a setup and a number."""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from .history import History, run
from .model import Model
from .plans import Plan, plan
from .setups import Setup
from .shrinking import describe, smallest


@dataclass
class BrokenSchedule:
    """A schedule that breaks promises."""

    seed: str
    setup: Setup
    plan: Plan
    promises: set[str]

    def __str__(self) -> str:
        """Describe the schedule, and the smallest one that breaks one of the same promises."""
        small = smallest(self.plan, self.breaks_same_promise)
        return "\n".join(
            [
                f"Schedule {self.seed} (run it again with --schedule '{self.seed}'):",
                *describe(*run_and_check(self.setup, self.plan)),
                "Its smallest form:",
                *describe(*run_and_check(self.setup, small)),
            ]
        )

    def breaks_same_promise(self, plan: Plan) -> bool:
        return bool(self.promises & broken_promises(self.setup, plan))


def run_and_check(setup: Setup, plan: Plan) -> tuple[History, list[str]]:
    """Return the history of a plan, and a sentence for each violation in it."""
    history = run(setup, plan)
    return history, [f"{promise}: {sentence}" for promise, sentence in Model(history).violations()]


def broken_promises(setup: Setup, plan: Plan) -> set[str]:
    return {promise for promise, _sentence in Model(run(setup, plan)).violations()}


def plan_of(setup: Setup, number: int) -> Plan:
    random = Random(f"{setup.name}:{number}")
    return plan(random, random.choice(setup.process_sets))


def first_broken(setup: Setup, numbers: Iterable[int]) -> BrokenSchedule | None:
    for number in numbers:
        plan = plan_of(setup, number)
        if broken := broken_promises(setup, plan):
            return BrokenSchedule(f"{setup.name}:{number}", setup, plan, broken)
    return None
