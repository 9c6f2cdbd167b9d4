"""What is wrong is found, told in few words, and found again by its seed."""

from itertools import pairwise

import pytest

from .faults import FAULTS
from .seeds import first_broken, judged, planned, promises
from .smallest import smallest
from .worlds import NAMES, world

pytestmark = pytest.mark.usefixtures("stopped_at_trips")

# As many as the suite tries of each engine and pair.
TRIED = range(600)


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


@pytest.mark.parametrize("name", NAMES)
def test_each_schedule_is_one(name: str) -> None:
    """Where trips are made, requests take turns at them, and failures are not always too late."""
    tried = world(name)
    turns = fired = failures = 0
    for number in range(40):
        plan = planned(tried, number)
        course, _broken = judged(tried, plan)
        actors = [trip.actor for trip in course.trips]
        turns += sum(one != other for one, other in pairwise(actors))
        failures += len(plan.failures)
        fired += sum(trip.failure is not None for trip in course.trips)
    assert turns > 100
    assert fired > failures / 4
