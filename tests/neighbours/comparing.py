"""Compares the outcomes of a project's tests on two engines, by the tests' names."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Outcomes = Mapping[str, str]


@dataclass(frozen=True)
class Comparison:
    """The outcomes on both engines, and the names of tests that differ.

    ``only_ours`` failed on our engine and not on Django's. ``not_on_ours`` and ``not_on_djangos``
    ran on one of the two only.
    """

    name: str
    version: str
    djangos: Outcomes
    ours: Outcomes
    only_ours: tuple[str, ...]
    not_on_ours: tuple[str, ...]
    not_on_djangos: tuple[str, ...]

    @property
    def is_worse(self) -> bool:
        """A test that did not run on ours counts too, since it may be unable to."""
        return bool(self.only_ours or self.not_on_ours)


def compare(name: str, version: str, djangos: Outcomes, ours: Outcomes) -> Comparison:
    only_ours = (
        test
        for test, outcome in ours.items()
        if outcome == "failed" and djangos.get(test) != "failed"
    )
    return Comparison(
        name,
        version,
        djangos,
        ours,
        only_ours=tuple(sorted(only_ours)),
        not_on_ours=tuple(sorted(djangos.keys() - ours.keys())),
        not_on_djangos=tuple(sorted(ours.keys() - djangos.keys())),
    )


def counts_of(outcomes: Outcomes) -> str:
    counts = Counter(outcomes.values())
    return ", ".join(
        f"{counts[outcome]:,} {outcome}"
        for outcome in ("passed", "failed", "skipped")
        if counts[outcome]
    )


def table(engine: str, comparisons: list[Comparison]) -> Iterator[str]:
    """A Markdown table of the projects, and below it the names of tests that differ."""
    yield f"| project | Django's `{engine}` | our `{engine}` | failed on ours alone |"
    yield "| --- | --- | --- | --- |"
    for each in comparisons:
        counts = f"{counts_of(each.djangos)} | {counts_of(each.ours)} | {len(each.only_ours)}"
        yield f"| {each.name} {each.version} | {counts} |"
    for heading, names in (
        ("Failed on ours alone", "only_ours"),
        ("Not run on ours", "not_on_ours"),
        ("Not run on Django's", "not_on_djangos"),
    ):
        tests = [(each.name, test) for each in comparisons for test in getattr(each, names)]
        if tests:
            yield from ("", f"{heading}:", "")
            yield from (f"- {name}: `{test}`" for name, test in tests)
