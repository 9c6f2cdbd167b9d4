"""Compare what the tests of a neighbour came to on two engines, by name of test."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Outcomes = Mapping[str, str]


@dataclass(frozen=True)
class Comparison:
    """``only_ours`` have failed on our engine and not on Django's.

    The others are the tests that ran on one of the two alone.
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
        """A test that did not run on ours may be one that cannot."""
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


def counted(outcomes: Outcomes) -> str:
    counts = Counter(outcomes.values())
    return ", ".join(
        f"{counts[outcome]:,} {outcome}"
        for outcome in ("passed", "failed", "skipped")
        if counts[outcome]
    )


def table(engine: str, comparisons: list[Comparison]) -> Iterator[str]:
    """Lines of Markdown: a row for each, and below them the names of what differs."""
    yield f"| project | Django's `{engine}` | our `{engine}` | failed on ours alone |"
    yield "| --- | --- | --- | --- |"
    for made in comparisons:
        counts = f"{counted(made.djangos)} | {counted(made.ours)} | {len(made.only_ours)}"
        yield f"| {made.name} {made.version} | {counts} |"
    for heading, names in (
        ("Failed on ours alone", "only_ours"),
        ("Not run on ours", "not_on_ours"),
        ("Not run on Django's", "not_on_djangos"),
    ):
        tests = [(made.name, test) for made in comparisons for test in getattr(made, names)]
        if tests:
            yield from ("", f"{heading}:", "")
            yield from (f"- {name}: `{test}`" for name, test in tests)
