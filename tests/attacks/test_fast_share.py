"""The share of its attacks that the fast tier makes."""

from itertools import product

import pytest

from cookieproj.profiles import PROFILES

from .conftest import Some, share

TRIES = list(product(range(100), ["get", "post", "put"]))


def test_it_is_a_third_in_order_and_the_same_each_time() -> None:
    found = share(TRIES, "test[db]")
    assert len(found) == 100
    assert found == sorted(found) == share(TRIES, "test[db]")
    assert share([], "test[db]") == []
    assert share([1], "test[db]") == [1]


def test_the_profiles_have_most_of_them_together() -> None:
    shares = [share(TRIES, f"test[{profile}]") for profile in PROFILES]
    assert len(set().union(*shares)) > 0.8 * len(TRIES)
    assert all({method for _, method in found} == {"get", "post", "put"} for found in shares)


def test_it_is_taken_in_the_fast_tier_alone(
    some: Some, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr("tests.attacks.conftest.is_fast", lambda config: False)
    assert some(TRIES) == TRIES
    monkeypatch.setattr("tests.attacks.conftest.is_fast", lambda config: True)
    assert some(TRIES) == share(TRIES, request.node.nodeid)
