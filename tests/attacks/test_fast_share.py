"""The share of its attacks that each profile makes in the fast tier."""

from itertools import chain, product

import pytest

from cookieproj.profiles import PROFILES

from .conftest import Some, share

TRIES = list(product(range(100), ["get", "post", "put"]))


def test_the_profiles_have_all_of_them_together() -> None:
    shares = [share(TRIES, "test", profile) for profile in PROFILES]
    assert sorted(chain(*shares)) == TRIES
    assert all({method for _, method in found} == {"get", "post", "put"} for found in shares)


def test_it_is_in_order_and_the_same_each_time() -> None:
    found = share(TRIES, "test", "file")
    assert found == sorted(found) == share(TRIES, "test", "file")


@pytest.mark.parametrize("few", [1, 2, 4])
def test_of_few_each_profile_has_one(few: int) -> None:
    shares = [share(list(range(few)), "test", profile) for profile in PROFILES]
    assert {len(found) for found in shares} == {1}
    assert set(chain(*shares)) == set(range(few))
    assert share([], "test", "db") == []


@pytest.mark.parametrize("profile", ["file"])
def test_it_is_taken_in_the_fast_tier_alone(
    profile: str, some: Some, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.attacks.conftest.is_fast", lambda config: False)
    assert some(TRIES) == TRIES
    monkeypatch.setattr("tests.attacks.conftest.is_fast", lambda config: True)
    test = f"{__name__.replace('.', '/')}.py::test_it_is_taken_in_the_fast_tier_alone"
    assert some(TRIES) == share(TRIES, test, "file") != share(TRIES, test, "db")
