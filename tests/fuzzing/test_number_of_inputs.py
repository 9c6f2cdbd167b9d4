"""The number of inputs of a test in each tier."""

from unittest import mock

import pytest
from hypothesis import strategies as st

from .conftest import FAST_INPUTS, LONG_INPUTS, MIN_INPUTS, SUITE_INPUTS, Fuzz, inputs_of


@pytest.mark.parametrize(
    ("options", "is_whole", "inputs"),
    [
        ([], True, SUITE_INPUTS),
        (["--fast"], True, FAST_INPUTS),
        # Tests named by a path run completely.
        (["--fast"], False, SUITE_INPUTS),
        (["--long"], False, LONG_INPUTS),
    ],
)
def test_each_tier_has_its_number_of_inputs(
    options: list[str], is_whole: bool, inputs: int, pytestconfig: pytest.Config
) -> None:
    chosen = {"--fast": False, "--long": False} | dict.fromkeys(options, True)
    with (
        mock.patch.object(pytestconfig, "getoption", chosen.__getitem__),
        mock.patch("tests.tiers.is_whole", return_value=is_whole),
    ):
        assert inputs_of(pytestconfig) == inputs


@pytest.mark.parametrize("percent", [2, 0.01])
def test_fuzz_runs_check_on_its_share_of_inputs(
    percent: float, fuzz: Fuzz, pytestconfig: pytest.Config
) -> None:
    checked = []

    def check(number: int) -> None:
        checked.append(number)

    tries = fuzz(percent, check, st.integers())
    assert tries == len(checked) == max(MIN_INPUTS, inputs_of(pytestconfig) * percent / 100)
