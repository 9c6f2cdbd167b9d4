"""What is decided about a session and its row; what comes of it is in ``test_index``."""

from itertools import product

import pytest

from cookieproj.devices.tracking import Found, Step, decide

ROW = "01234567-89ab-4cde-8f01-23456789abcd"


@pytest.mark.parametrize(("is_news", "found", "holds"), list(product([0, 1], Found, [0, 1])))
def test_a_session_without_a_row_is_adopted(is_news: int, found: Found, holds: int) -> None:
    assert decide(None, is_news=bool(is_news), found=found, holds=bool(holds)) is Step.ADOPT


@pytest.mark.parametrize(("found", "holds"), list(product(Found, [0, 1])))
def test_without_news_nothing_is_done(found: Found, holds: int) -> None:
    assert decide(ROW, is_news=False, found=found, holds=bool(holds)) is Step.SKIP


@pytest.mark.parametrize(
    ("found", "in_doubt", "holds"),
    [
        (Found.UNSEEN, Step.TOUCH, Step.TOUCH),
        (Found.THE_SAME, Step.SKIP, Step.SKIP),
        (Found.NONE, Step.REVOKE, Step.REPAIR),
        (Found.ANOTHER, Step.YIELD, Step.MOVE),
    ],
)
def test_news_goes_by_the_row_and_by_whether_the_session_holds(
    found: Found, in_doubt: Step, holds: Step
) -> None:
    assert decide(ROW, is_news=True, found=found) is in_doubt
    assert decide(ROW, is_news=True, found=found, holds=True) is holds
