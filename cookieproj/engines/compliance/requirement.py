"""Requirements of a standard, each with the function that judges this site."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy


class Verdict(StrEnum):
    MET = "met"
    NOT_MET = "not met"
    NOT_APPLICABLE = "does not apply"
    NOT_VISIBLE = "cannot be seen"


LABELS = {
    Verdict.MET: gettext_lazy("met"),
    Verdict.NOT_MET: gettext_lazy("not met"),
    Verdict.NOT_APPLICABLE: gettext_lazy("does not apply"),
    Verdict.NOT_VISIBLE: gettext_lazy("cannot be seen"),
}


@dataclass(frozen=True)
class Finding:
    """A verdict, and a sentence: what meets the requirement, what to change, or where to look."""

    verdict: Verdict
    sentence: str


def met(sentence: str) -> Finding:
    return Finding(Verdict.MET, sentence)


def not_met(sentence: str) -> Finding:
    return Finding(Verdict.NOT_MET, sentence)


def not_applicable(sentence: str) -> Finding:
    return Finding(Verdict.NOT_APPLICABLE, sentence)


def not_visible(sentence: str) -> Finding:
    return Finding(Verdict.NOT_VISIBLE, sentence)


def to_set(*assignments: str) -> Finding:
    """Not met: the remedy is these settings, written as in a settings module."""
    return not_met(_("Set %(settings)s.") % {"settings": "; ".join(assignments)})


@dataclass(frozen=True)
class Requirement:
    # Also the id of its system check.
    id: str
    # As the standard writes it: L1, L2 or L3; SHALL or SHOULD.
    level: str
    # The levels of ASVS, or the AALs of NIST, at which it applies.
    applies_at: tuple[int, ...]
    text: str | Promise
    judge: Callable[[], Finding]
    # Tests of this project that show it, by path.
    tests: tuple[str, ...]

    @property
    def is_recommendation(self) -> bool:
        return self.level == "SHOULD"


@dataclass(frozen=True)
class Standard:
    """The requirements of one standard, in its order."""

    prefix: str
    name: str
    requirements: list[Requirement] = field(default_factory=list)

    def add(
        self,
        number: str,
        text: str | Promise,
        *tests: str,
        level: str,
        applies_at: tuple[int, ...],
    ) -> Callable[[Callable[[], Finding]], Callable[[], Finding]]:
        """Add a requirement that the decorated function judges."""

        def decorate(judge: Callable[[], Finding]) -> Callable[[], Finding]:
            identifier = f"{self.prefix}.{number}"
            requirement = Requirement(identifier, level, applies_at, text, judge, tests)
            self.requirements.append(requirement)
            return judge

        return decorate

    def at(self, level: int) -> list[Requirement]:
        """Return what applies at that level, or AAL."""
        return [each for each in self.requirements if level in each.applies_at]


ASVS = Standard("asvs", "OWASP ASVS 5.0")
NIST = Standard("nist", "NIST SP 800-63B-4")

L1 = partial(ASVS.add, level="L1", applies_at=(1, 2, 3))
L2 = partial(ASVS.add, level="L2", applies_at=(2, 3))
L3 = partial(ASVS.add, level="L3", applies_at=(3,))
SHALL = partial(NIST.add, level="SHALL", applies_at=(1, 2, 3))
SHOULD = partial(NIST.add, level="SHOULD", applies_at=(1, 2, 3))
