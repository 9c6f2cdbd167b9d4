"""What is wrong is found, told in few words, and found again by its seed."""

from collections import Counter
from itertools import pairwise

import pytest

from .faults import FAULTS
from .seeds import first_broken, judged, planned, promises
from .setups import world
from .shrinking import smallest

pytestmark = pytest.mark.usefixtures("stopped_at_trips")

# More than the suite tries of each engine and pair: of one fault several of them see something.
TRIED = range(1000)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_is_put_back_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, put = FAULTS[fault]
    put(monkeypatch)
    assert first_broken(world(name), TRIED)


def test_the_smallest_schedule_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS["a_save_compares_with_nothing"][1](monkeypatch)
    found = first_broken(world("db"), TRIED)
    assert found
    small = smallest(found.plan, lambda plan: bool(found.promises & promises(found.world, plan)))
    assert (len(small.parts), small.failures) == (2, ())
    assert sum(choice is not None for choice in small.choices) <= 2
    assert "BROKEN: what was written is there" in str(found)


def test_a_seed_is_one_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS["a_save_compares_with_nothing"][1](monkeypatch)
    found = first_broken(world("db"), TRIED)
    assert found
    again = world("db")
    number = int(found.seed.rpartition(":")[2])
    assert found.promises == promises(again, planned(again, number))


@pytest.mark.parametrize(
    "name",
    [
        *("db", "cache", "file", "cached_db", "db to cache", "cache to cached_db"),
        *("file to signed_cookies", "signed_cookies to db"),
    ],
)
def test_each_trip_is_interrupted_and_fails(name: str) -> None:
    """The last save of a sign-in too; and no failure is planned for trips that nobody makes."""
    tried = world(name)
    made, interrupted, failed = Counter[str](), Counter[str](), Counter[str]()
    planned_failures = 0
    for number in TRIED[:200]:
        plan = planned(tried, number)
        course, _broken = judged(tried, plan)
        planned_failures += len(plan.failures)
        for before, trip in pairwise(course.trips):
            made[trip.name] += 1
            interrupted[trip.name] += before.actor != trip.actor and trip.number > 0
        failed.update(trip.name for trip in course.trips if trip.failure)
    often = {trip for trip, number in made.items() if number > sum(made.values()) / 10}
    assert often
    assert often <= interrupted.keys() & failed.keys()
    assert sum(interrupted.values()) > sum(made.values()) / 8
    assert sum(failed.values()) > planned_failures / 2
