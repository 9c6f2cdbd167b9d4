"""What requests there are, in what order their trips are made, and which of these fail.

A seed chooses. A plan is what it chose, so that a smaller one can be made of it.
"""

from dataclasses import dataclass
from random import Random

# What requests do, and how often, by the hundred or so.
VERBS = {
    "read": 6,
    "own": 22,
    "shared": 6,
    "member": 10,
    "remove": 6,
    "apply": 20,
    "sign_in": 18,
    "sign_out": 6,
    "touch": 3,
    "expiry": 3,
    "save": 6,
}

# What three at once, in two stores, can lose of each other.
WRITES = {"own": 3, "save": 2}

# What others than a browser do to a session.
DELETE = ("delete", "delete_by_key")

# How likely another request goes on, at a trip.
RESTLESS = (0.15, 0.3, 0.6)
CHOICES = 60
# The trip of an actor that fails: the first ones more often, as all have some.
FAILING = (0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5)


@dataclass(frozen=True)
class Part:
    """Of one actor: the process that it runs in, and what it does there."""

    process: str
    verbs: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    parts: tuple[Part, ...]
    # At each trip who goes on: None for whoever has made the one before, else one of the others, by
    # a number. Beyond the last it is always the same one.
    choices: tuple[int | None, ...]
    # Actor and number of its trip, and whether that fails before or after its effect.
    failures: tuple[tuple[int, int, str], ...]

    def failures_of(self, actor: int) -> dict[int, str]:
        return {trip: moment for who, trip, moment in self.failures if who == actor}


def plan(chosen: Random, processes: tuple[str, ...]) -> Plan:
    """Of requests to those processes: of all kinds, of those that end nothing, or of writers."""
    weights = chosen.choice([VERBS, VERBS, VERBS | {"sign_out": 0}, WRITES])
    many = weights is WRITES
    number = chosen.choice([3, 3, 4] if many else [2, 2, 2, 3, 3, 4])
    parts = [part(chosen, chosen.choice(processes), weights) for _ in range(number)]
    if "movesessions" in processes and all(part.process != "movesessions" for part in parts):
        parts[chosen.randrange(number)] = Part("movesessions", ())
    restless = chosen.choice(RESTLESS)
    choices = [chosen.randrange(6) if chosen.random() < restless else None for _ in range(CHOICES)]
    failures = {
        (chosen.randrange(number), chosen.choice(FAILING)): chosen.choice(["before", "after"])
        for _ in range(chosen.choice([0, 0, 0, 1, 1, 2]))
    }
    failing = tuple((*which, moment) for which, moment in failures.items())
    return Plan(tuple(parts), tuple(choices), failing)


def part(chosen: Random, process: str, weights: dict[str, int]) -> Part:
    if process == "movesessions":
        return Part(process, ())
    if weights is VERBS and chosen.random() < 0.1:
        return Part(process, (chosen.choice(DELETE),))
    number = chosen.choice([1, 2, 3] if weights is WRITES else [1, 1, 1, 2, 2, 3])
    return Part(process, tuple(chosen.choices(list(weights), list(weights.values()), k=number)))
