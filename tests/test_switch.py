"""The site is restarted on one profile after another, and a browser stays signed in."""

from datetime import UTC, datetime, timedelta
from itertools import chain, combinations, pairwise
from pathlib import Path

import pytest

from cookieproj.profiles import PROFILES

from .conftest import copied
from .sites import Browser, running

# A sequence with each ordered pair of profiles once: 0 1 0 2 0 3 0 4 1 2 1 3 …
ROUND_TRIP = [*chain.from_iterable(combinations(PROFILES, 2)), PROFILES[0]]

MOMENT = datetime.now(UTC).replace(second=0) + timedelta(days=30)


@pytest.mark.long
@pytest.mark.matrix
def test_browser_stays_signed_in_through_all_switches(
    tmp_path: Path, demo_database: Path, redis_url: str, mongodb_url: str
) -> None:
    environment = {
        "DATABASE_URL": copied(demo_database, tmp_path),
        "SESSION_FILE_PATH": str(tmp_path / "sessions"),
        "CACHE_URL": f"{redis_url}/8",
        "MONGODB_URL": mongodb_url,
    }
    assert len(set(pairwise(ROUND_TRIP))) == len(PROFILES) * (len(PROFILES) - 1)
    browser, previous = Browser(""), ""
    for profile in ROUND_TRIP:
        profiles = {"SESSION_PROFILE": profile, "SESSION_HANDOVER_FROM": previous}
        with running(**environment, **profiles) as site:
            browser.site = site
            if not previous:
                sign_in(browser)
            for _ in range(2):
                assert "welcome" in browser.open("/auth/account/").text, (previous, profile)
                assert "blue" in browser.open("/sessions/items/").text
                [cookie] = [cookie for cookie in browser.cookies if cookie.name == "sessionid"]
                assert abs((cookie.expires or 0) - MOMENT.timestamp()) < 5
        previous = profile


def sign_in(browser: Browser) -> None:
    browser.submit("/auth/sign-in/", "/auth/sign-in/", username="ada", password="cookies")
    item = {"key": "color", "value": "blue"}
    browser.submit("/recipes/sessions/set-item/", "/sessions/set-item/", **item)
    moment = {"moment": f"{MOMENT:%Y-%m-%dT%H:%M}"}
    browser.submit("/recipes/expiry/at-a-moment/", "/expiry/at-a-moment/", **moment)
