"""What ``decide`` returns for a session and its row.

``test_session_registry`` tests the effects.
"""

from itertools import product

import pytest

from cookieproj.devices.tracking import RowState, Step, decide

ROW_ID = "01234567-89ab-4cde-8f01-23456789abcd"


@pytest.mark.parametrize(
    ("needs_update", "row_state", "is_valid"), list(product([0, 1], RowState, [0, 1]))
)
def test_session_without_row_is_registered(
    needs_update: int, row_state: RowState, is_valid: int
) -> None:
    assert (
        decide(
            None,
            needs_update=bool(needs_update),
            row_state=row_state,
            is_still_signed_in=bool(is_valid),
        )
        is Step.REGISTER
    )


@pytest.mark.parametrize(("row_state", "is_valid"), list(product(RowState, [False, True])))
def test_row_that_needs_no_update_is_skipped(row_state: RowState, is_valid: bool) -> None:
    assert (
        decide(ROW_ID, needs_update=False, row_state=row_state, is_still_signed_in=bool(is_valid))
        is Step.SKIP
    )


@pytest.mark.parametrize(
    ("row_state", "if_invalid", "if_valid"),
    [
        (RowState.NOT_READ, Step.TOUCH, Step.TOUCH),
        (RowState.UNCHANGED, Step.SKIP, Step.SKIP),
        (RowState.MISSING, Step.REVOKE, Step.REPAIR),
        (RowState.CHANGED, Step.YIELD, Step.UPDATE_IDENTITY),
    ],
)
def test_update_depends_on_row_and_on_whether_session_is_valid(
    row_state: RowState, if_invalid: Step, if_valid: Step
) -> None:
    assert decide(ROW_ID, needs_update=True, row_state=row_state) is if_invalid
    assert (
        decide(ROW_ID, needs_update=True, row_state=row_state, is_still_signed_in=True) is if_valid
    )
