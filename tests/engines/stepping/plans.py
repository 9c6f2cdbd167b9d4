"""A plan says what requests do, in which order their store calls run, and which of these fail.

It is drawn at random from a seed. It is data, so that shrinking can derive smaller plans.
"""

from dataclasses import dataclass
from random import Random

# The weights of the steps of a request.
STEPS = {
    "read": 6,
    "write_pair": 22,
    "write_shared": 6,
    "add_member": 10,
    "remove": 6,
    "apply": 20,
    "sign_in": 18,
    "sign_out": 6,
    "touch": 3,
    "set_expiry": 3,
    "save": 6,
}

# Only writes, which three concurrent requests on two stores might lose.
WRITES = {"write_pair": 3, "save": 2}

# How the admin or a command deletes a session.
DELETIONS = ("delete", "delete_by_key")

# How likely a store call is followed by one of another actor.
SWITCH_PROBABILITIES = (0.15, 0.3, 0.6)
CHOICE_COUNT = 60
# Which call of an actor fails. Early calls are more likely, since every actor makes them.
FAILING_CALLS = (0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5)


@dataclass(frozen=True)
class Part:
    """What one actor does, and in which process."""

    process: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    parts: tuple[Part, ...]
    # Which actor runs next: None for the same one, else the number of one of the others. After the
    # last choice the current actor runs to its end.
    choices: tuple[int | None, ...]
    # An actor, the number of its store call, and whether that fails "before" or "after" its effect.
    failures: tuple[tuple[int, int, str], ...]

    def failures_of(self, actor: int) -> dict[int, str]:
        return {call: moment for number, call, moment in self.failures if number == actor}


def plan(random: Random, processes: tuple[str, ...]) -> Plan:
    """Return a plan with all kinds of requests, without sign-outs, or with writes only."""
    weights = random.choice([STEPS, STEPS, STEPS | {"sign_out": 0}, WRITES])
    only_writes = weights is WRITES
    number = random.choice([3, 3, 4] if only_writes else [2, 2, 2, 3, 3, 4])
    parts = [part(random, random.choice(processes), weights) for _ in range(number)]
    if "movesessions" in processes and all(part.process != "movesessions" for part in parts):
        parts[random.randrange(number)] = Part("movesessions", ())
    probability = random.choice(SWITCH_PROBABILITIES)
    choices = [
        random.randrange(6) if random.random() < probability else None for _ in range(CHOICE_COUNT)
    ]
    failures = {
        (random.randrange(number), random.choice(FAILING_CALLS)): random.choice(["before", "after"])
        for _ in range(random.choice([0, 0, 0, 1, 1, 2]))
    }
    failing = tuple((*actor_and_call, moment) for actor_and_call, moment in failures.items())
    return Plan(tuple(parts), tuple(choices), failing)


def part(random: Random, process: str, weights: dict[str, int]) -> Part:
    if process == "movesessions":
        return Part(process, ())
    if weights is STEPS and random.random() < 0.1:
        return Part(process, (random.choice(DELETIONS),))
    number = random.choice([1, 2, 3] if weights is WRITES else [1, 1, 1, 2, 2, 3])
    return Part(process, tuple(random.choices(list(weights), list(weights.values()), k=number)))
