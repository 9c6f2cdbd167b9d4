"""A schedule by its seed, ``db to cache:123``: the engine or the pair, and a number."""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from .history import Course, play
from .model import Model
from .plans import Plan, plan
from .setups import World
from .shrinking import smallest, told


@dataclass
class Broken:
    """A schedule whose course a session must not take."""

    seed: str
    world: World
    plan: Plan
    promises: set[str]

    def __str__(self) -> str:
        """Its course, and the smallest that breaks one of the same promises."""
        small = smallest(self.plan, lambda plan: bool(self.promises & promises(self.world, plan)))
        return "\n".join(
            [
                f"The schedule {self.seed}, to be run again with --schedule '{self.seed}':",
                *told(*judged(self.world, self.plan)),
                "Its smallest form:",
                *told(*judged(self.world, small)),
            ]
        )


def judged(world: World, plan: Plan) -> tuple[Course, list[str]]:
    course = play(world, plan)
    return course, [f"{promise}: {sentence}" for promise, sentence in Model(course).broken()]


def promises(world: World, plan: Plan) -> set[str]:
    """Those that are broken."""
    return {promise for promise, _sentence in Model(play(world, plan)).broken()}


def planned(world: World, number: int) -> Plan:
    chosen = Random(f"{world.name}:{number}")
    return plan(chosen, chosen.choice(world.together))


def first_broken(world: World, numbers: Iterable[int]) -> Broken | None:
    """The first of those schedules in which a promise is broken."""
    for number in numbers:
        chosen = planned(world, number)
        if broken := promises(world, chosen):
            return Broken(f"{world.name}:{number}", world, chosen, broken)
    return None
