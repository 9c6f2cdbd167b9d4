"""The smallest plan that still fails, and the two as text."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from .history import Course
from .plans import Part, Plan
from .requests import BEGUN

# No more plans than take a few seconds.
TRIES = 3000
ITS_CHOICES = 10


def smallest(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Without any request, step, failure or change of turns that it fails without."""
    left = TRIES
    found = True
    while found:
        found = False
        for smaller in smaller_ones(plan):
            left -= 1
            if left < 0:
                return plan
            if fails(smaller):
                plan, found = smaller, True
                break
    return plan


def smaller_ones(plan: Plan) -> Iterator[Plan]:
    for number in range(len(plan.parts)) if len(plan.parts) > 1 else ():
        smaller = without_actor(plan, number)
        # Some of the choices were for its trips.
        for dropped in range(ITS_CHOICES):
            yield replace(smaller, choices=smaller.choices[dropped:])
    for number, part in enumerate(plan.parts):
        for position in range(len(part.verbs)) if len(part.verbs) > 1 else ():
            verbs = part.verbs[:position] + part.verbs[position + 1 :]
            parts = list(plan.parts)
            parts[number] = Part(part.process, verbs)
            yield replace(plan, parts=tuple(parts))
    for failure in plan.failures:
        yield replace(plan, failures=tuple(each for each in plan.failures if each != failure))
    choices = plan.choices
    if choices:
        yield replace(plan, choices=choices[: len(choices) // 2])
        yield replace(plan, choices=choices[:-1])
    for position, choice in enumerate(choices):
        if choice is not None:
            yield replace(plan, choices=(*choices[:position], None, *choices[position + 1 :]))


def without_actor(plan: Plan, number: int) -> Plan:
    def renumbered(other: int) -> int:
        return other - (other > number)

    return Plan(
        plan.parts[:number] + plan.parts[number + 1 :],
        plan.choices,
        tuple(
            (renumbered(who), trip, moment) for who, trip, moment in plan.failures if who != number
        ),
    )


def told(course: Course, broken: list[str]) -> list[str]:
    """A course for people: its requests, its trips, and what is broken; keys are called K0, K1."""
    lines = [
        f"R{number} to {part.process}: {' '.join(part.verbs)}"
        for number, part in enumerate(course.plan.parts)
    ]
    answers = {visit.trips: [] for visit in course.visits}  # type: dict[int, list[str]]
    for visit in course.visits:
        answer = {None: "", "": ", and its cookie deleted"}.get(visit.answer, f", {visit.answer}")
        answers[visit.trips].append(
            f"     R{visit.number}, which came with {visit.cookie}, is {visit.outcome}{answer}"
        )
    for number, trip in enumerate(course.trips):
        lines += answers.get(number, ())
        failure = f", and fails {trip.failure}" if trip.failure else ""
        key = re.sub(r"^\D*cached?(_db)?(?=\w{32})", "", trip.key)
        lines.append(
            f"{number:4} R{trip.actor} {trip.name} {key}: {shown(course, trip.result)}{failure}"
        )
    lines += answers.get(len(course.trips), ())
    for cookie, found in course.opens.items():
        lines += [f"     {cookie} opens {shown(course, data)}" for data in found[:1]]
    lines += [f"     BROKEN: {sentence}" for sentence in broken]
    return with_short_keys("\n".join(lines), course).splitlines()


def shown(course: Course, result: Any) -> str:
    """Of data what is not as it began."""
    if hasattr(result, "session_data"):
        result = course.world.first.Store().decode(result.session_data)
    data = getattr(result, "data", result)
    if not isinstance(data, dict):
        return str(result) if isinstance(result, bool | None) else type(result).__name__
    new = {key: value for key, value in data.items() if BEGUN.get(key) != value}
    gone = [f"no {key}" for key in BEGUN if key not in data]
    if len(gone) == len(BEGUN):
        gone = ["nobody"]
    return f"<{', '.join([*(f'{key}={value}' for key, value in new.items()), *gone])}>"


def with_short_keys(text: str, course: Course) -> str:
    keys = dict.fromkeys([*course.cookies, *re.findall(r"\b[0-9a-z]{32,40}\b", text)])
    for number, key in enumerate(keys):
        text = text.replace(key, f"K{number}")
    return text
