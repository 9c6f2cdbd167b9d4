"""How many inputs a test is given, in each tier."""

from unittest import mock

import pytest
from hypothesis import strategies as st

from .conftest import FEW, INPUTS, LEAST, MANY, Fuzz, inputs_of


@pytest.mark.parametrize(
    ("options", "is_whole", "inputs"),
    [
        ([], True, INPUTS),
        (["--fast"], True, FEW),
        # Whatever is named is run whole.
        (["--fast"], False, INPUTS),
        (["--long"], False, MANY),
    ],
)
def test_of_each_tier(
    options: list[str], is_whole: bool, inputs: int, pytestconfig: pytest.Config
) -> None:
    chosen = {"--fast": False, "--long": False} | dict.fromkeys(options, True)
    with (
        mock.patch.object(pytestconfig, "getoption", chosen.__getitem__),
        mock.patch("tests.tiers.is_whole", return_value=is_whole),
    ):
        assert inputs_of(pytestconfig) == inputs


@pytest.mark.parametrize("percent", [2, 0.01])
def test_of_all_inputs(percent: float, fuzz: Fuzz, pytestconfig: pytest.Config) -> None:
    seen = []

    def holds(number: int) -> None:
        seen.append(number)

    tries = fuzz(percent, holds, st.integers())
    assert tries == len(seen) == max(LEAST, inputs_of(pytestconfig) * percent / 100)
