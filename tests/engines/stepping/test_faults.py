"""Random schedules find faults, and reproduce and shrink the schedules that fail."""

from collections import Counter
from itertools import pairwise

import pytest

from .faults import FAULTS
from .seeds import broken_promises, first_broken, plan_of, run_and_check
from .setups import setup_named
from .shrinking import smallest

pytestmark = pytest.mark.usefixtures("paused_at_store_calls")

# More than the suite tries on each engine and pair. There a fault shows on several of them.
NUMBERS = range(1000)


@pytest.mark.parametrize("fault", FAULTS)
def test_schedules_find_injected_fault(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, inject = FAULTS[fault]
    inject(monkeypatch)
    assert first_broken(setup_named(name), NUMBERS)


def test_broken_schedule_shrinks_to_two_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS["save_does_not_compare"][1](monkeypatch)
    broken = first_broken(setup_named("db"), NUMBERS)
    assert broken
    small = smallest(broken.plan, broken.breaks_same_promise)
    assert (len(small.parts), small.failures) == (2, ())
    assert sum(choice is not None for choice in small.choices) <= 2
    assert "BROKEN: writes are kept" in str(broken)


def test_seed_reproduces_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS["save_does_not_compare"][1](monkeypatch)
    broken = first_broken(setup_named("db"), NUMBERS)
    assert broken
    setup = setup_named("db")
    number = int(broken.seed.rpartition(":")[2])
    assert broken.promises == broken_promises(setup, plan_of(setup, number))


@pytest.mark.parametrize(
    "name",
    [
        *("db", "cache", "file", "cached_db", "db to cache", "cache to cached_db"),
        *("file to signed_cookies", "signed_cookies to db"),
    ],
)
def test_schedules_interrupt_and_fail_each_frequent_store_call(name: str) -> None:
    """At least half of the planned failures happen: few are of calls that no request makes."""
    setup = setup_named(name)
    made, interrupted, failed = Counter[str](), Counter[str](), Counter[str]()
    planned_failures = 0
    for number in NUMBERS[:200]:
        plan = plan_of(setup, number)
        history, _violations = run_and_check(setup, plan)
        planned_failures += len(plan.failures)
        for previous, call in pairwise(history.calls):
            made[call.name] += 1
            interrupted[call.name] += previous.actor != call.actor and call.number > 0
        failed.update(call.name for call in history.calls if call.failure)
    frequent = {name for name, number in made.items() if number > sum(made.values()) / 10}
    assert frequent
    assert frequent <= interrupted.keys() & failed.keys()
    assert sum(interrupted.values()) > sum(made.values()) / 8
    assert sum(failed.values()) > planned_failures / 2
