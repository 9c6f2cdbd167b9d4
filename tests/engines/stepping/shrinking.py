"""Finds the smallest plan that still fails, and describes a run."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from .history import History
from .plans import Part, Plan
from .requests import INITIAL_DATA

# So many tries take a few seconds.
MAX_TRIES = 3000
MAX_DROPPED_CHOICES = 10


def smallest(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Remove each actor, step, failure and change of actor without which the plan still fails."""
    remaining_tries = MAX_TRIES
    has_shrunk = True
    while has_shrunk:
        has_shrunk = False
        for smaller in smaller_plans(plan):
            remaining_tries -= 1
            if remaining_tries < 0:
                return plan
            if fails(smaller):
                plan, has_shrunk = smaller, True
                break
    return plan


def smaller_plans(plan: Plan) -> Iterator[Plan]:
    for number in range(len(plan.parts)) if len(plan.parts) > 1 else ():
        smaller = without_actor(plan, number)
        # Some of the choices were for the store calls of that actor.
        for dropped in range(MAX_DROPPED_CHOICES):
            yield replace(smaller, choices=smaller.choices[dropped:])
    for number, part in enumerate(plan.parts):
        for position in range(len(part.steps)) if len(part.steps) > 1 else ():
            steps = part.steps[:position] + part.steps[position + 1 :]
            parts = list(plan.parts)
            parts[number] = Part(part.process, steps)
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
            (renumbered(actor), call, moment)
            for actor, call, moment in plan.failures
            if actor != number
        ),
    )


def describe(history: History, violations: list[str]) -> list[str]:
    """Return lines for people: requests, store calls, violations. Keys are shortened to K0, K1."""
    lines = [
        f"R{number} to {part.process}: {' '.join(part.steps)}"
        for number, part in enumerate(history.plan.parts)
    ]
    answers: dict[int, list[str]] = {visit.calls_before_answer: [] for visit in history.visits}
    for visit in history.visits:
        cookie = {None: "", "": ", cookie deleted"}.get(visit.set_cookie, f", {visit.set_cookie}")
        answers[visit.calls_before_answer].append(
            f"     R{visit.number} with cookie {visit.cookie}: {visit.outcome}{cookie}"
        )
    for number, call in enumerate(history.calls):
        lines += answers.get(number, ())
        failure = f", fails {call.failure} its effect" if call.failure else ""
        key = re.sub(r"^\D*cached?(_db)?(?=\w{32})", "", call.key)
        result = describe_result(history, call.result)
        lines.append(f"{number:4} R{call.actor} {call.name} {key}: {result}{failure}")
    lines += answers.get(len(history.calls), ())
    for cookie, opened in history.final_data.items():
        lines += [f"     {cookie} opens {describe_result(history, data)}" for data in opened[:1]]
    lines += [f"     BROKEN: {sentence}" for sentence in violations]
    return with_short_keys("\n".join(lines), history).splitlines()


def describe_result(history: History, result: Any) -> str:
    """Of session data, show only what differs from the initial data."""
    if hasattr(result, "session_data"):
        result = history.setup.first.Store().decode(result.session_data)
    data = getattr(result, "data", result)
    if not isinstance(data, dict):
        return str(result) if isinstance(result, bool | None) else type(result).__name__
    new = {key: value for key, value in data.items() if INITIAL_DATA.get(key) != value}
    missing = [f"no {key}" for key in INITIAL_DATA if key not in data]
    if len(missing) == len(INITIAL_DATA):
        missing = ["nobody"]
    return f"<{', '.join([*(f'{key}={value}' for key, value in new.items()), *missing])}>"


def with_short_keys(text: str, history: History) -> str:
    keys = dict.fromkeys([*history.cookies, *re.findall(r"\b[0-9a-z]{32,40}\b", text)])
    for number, key in enumerate(keys):
        text = text.replace(key, f"K{number}")
    return text
