"""What is decided about a session and its row; what comes of it is in ``test_index``."""

from itertools import product

import pytest

from cookieproj.devices.tracking import FoundRow, Step, decide

ROW = "01234567-89ab-4cde-8f01-23456789abcd"


@pytest.mark.parametrize(("is_news", "found", "holds"), list(product([0, 1], FoundRow, [0, 1])))
def test_a_session_without_a_row_is_adopted(is_news: int, found: FoundRow, holds: int) -> None:
    assert (
        decide(None, is_news=bool(is_news), found=found, is_still_signed_in=bool(holds))
        is Step.ADOPT
    )


@pytest.mark.parametrize(("found", "holds"), list(product(FoundRow, [0, 1])))
def test_without_news_nothing_is_done(found: FoundRow, holds: int) -> None:
    assert decide(ROW, is_news=False, found=found, is_still_signed_in=bool(holds)) is Step.SKIP


@pytest.mark.parametrize(
    ("found", "in_doubt", "holds"),
    [
        (FoundRow.UNSEEN, Step.TOUCH, Step.TOUCH),
        (FoundRow.THE_SAME, Step.SKIP, Step.SKIP),
        (FoundRow.NONE, Step.REVOKE, Step.REPAIR),
        (FoundRow.ANOTHER, Step.YIELD, Step.MOVE),
    ],
)
def test_news_goes_by_the_row_and_by_whether_the_session_holds(
    found: FoundRow, in_doubt: Step, holds: Step
) -> None:
    assert decide(ROW, is_news=True, found=found) is in_doubt
    assert decide(ROW, is_news=True, found=found, is_still_signed_in=True) is holds
