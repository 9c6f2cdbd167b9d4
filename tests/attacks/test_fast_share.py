"""The share of the attacks that each profile makes in the fast tier."""

from itertools import chain, product

import pytest

from cookieproj.profiles import PROFILES

from .conftest import Sample, share

TRIES = list(product(range(100), ["get", "post", "put"]))


def test_shares_of_all_profiles_are_complete() -> None:
    shares = [share(TRIES, "test", profile) for profile in PROFILES]
    assert sorted(chain(*shares)) == TRIES
    assert all(
        {method for _, method in profile_share} == {"get", "post", "put"}
        for profile_share in shares
    )


def test_share_is_in_order_and_reproducible() -> None:
    profile_share = share(TRIES, "test", "file")
    assert profile_share == sorted(profile_share) == share(TRIES, "test", "file")


@pytest.mark.parametrize("few", [1, 2, 4])
def test_each_profile_gets_one_of_few_tries(few: int) -> None:
    shares = [share(list(range(few)), "test", profile) for profile in PROFILES]
    assert {len(profile_share) for profile_share in shares} == {1}
    assert set(chain(*shares)) == set(range(few))
    assert share([], "test", "db") == []


@pytest.mark.parametrize("profile", ["file"])
def test_shares_are_taken_only_in_fast_tier(
    profile: str, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.attacks.conftest.is_fast", lambda config: False)
    assert sample(TRIES) == TRIES
    monkeypatch.setattr("tests.attacks.conftest.is_fast", lambda config: True)
    test = f"{__name__.replace('.', '/')}.py::test_shares_are_taken_only_in_fast_tier"
    assert sample(TRIES) == share(TRIES, test, "file") != share(TRIES, test, "db")
