"""Wrong passwords make their user wait, whichever session or cookie they come with."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core.cache import caches
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from cookieproj.devices import password_tries
from cookieproj.devices.password_tries import begin_try, forget_tries, seconds_to_wait
from demo.models import User
from tests.browsers import browser

from .asking import answer, asks

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_cache")]

OTHERS = "/devices/sign-out-others/"
REDIS = "django.core.cache.backends.redis.RedisCache"


@pytest.fixture(autouse=True)
def asked_after_a_minute(settings: Settings) -> None:
    settings.DEVICES_ASK_PASSWORD_AFTER = 60


def use_cache(settings: Settings, backend: str, location: str = "") -> None:
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": location}} | {
        alias: config for alias, config in settings.CACHES.items() if alias != "default"
    }


def page_of(client: Client) -> Any:
    page = client.post(OTHERS)
    assert asks(page)
    return page


def test_pause_grows_and_holds_for_all_sessions_of_the_user(ada: User) -> None:
    clients = [browser(ada) for _ in range(4)]
    start = timezone.now() + timedelta(hours=1)
    with time_machine.travel(start, tick=False) as clock:
        for client in clients[:2]:
            assert "This is not your password.<" in answer(client, page_of(client), "guess").text
        page = answer(clients[2], page_of(clients[2]), "guess")
        assert page.status_code == 403
        assert "This is not your password. Try again in 5 seconds." in page.text
        clock.shift(2)
        # The right password does not help, nor does another session.
        page = answer(clients[3], page_of(clients[3]))
        assert (page.status_code, page.headers["Retry-After"]) == (429, "3")
        assert "Too many wrong passwords. Try again in 3 seconds." in page.text
        clock.shift(3)
        page = answer(clients[3], page, "guess")
        assert "Try again in 10 seconds." in page.text
        clock.shift(10)
        assert "Try again in 20 seconds." in answer(clients[3], page, "guess").text
        clock.shift(20)
        assert answer(clients[3], page).status_code == 302
        # All is forgotten.
        clock.shift(60)
        page = page_of(clients[3])
        assert "This is not your password.<" in answer(clients[3], page, "guess").text


def test_other_users_do_not_wait(ada: User, admin: User) -> None:
    for _ in range(3):
        assert begin_try(ada) == 0
    assert seconds_to_wait(ada)
    assert begin_try(admin) == 0
    assert seconds_to_wait(admin) == 0


def test_pause_has_a_longest_and_tries_in_it_do_not_count(ada: User) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        pauses = []
        for _ in range(14):
            assert begin_try(ada) == 0
            pauses.append(seconds_to_wait(ada))
            if pauses[-1]:
                assert {begin_try(ada) for _ in range(3)} == {pauses[-1]}
            clock.shift(pauses[-1])
    assert pauses[-1] == password_tries.LONGEST_PAUSE


@pytest.mark.parametrize(
    "backend", ["locmem.LocMemCache", "filebased.FileBasedCache", "db.DatabaseCache"]
)
def test_tries_are_remembered_for_longer_than_the_cache_keeps_others(
    backend: str, settings: Settings, ada: User, tmp_path: Path
) -> None:
    location = "tries" if backend.startswith("db") else str(tmp_path)
    use_cache(settings, f"django.core.cache.backends.{backend}", location)
    call_command("createcachetable", verbosity=0)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(password_tries.FREE_TRIES - 1):
            assert begin_try(ada) == 0
        clock.shift(password_tries.REMEMBERED - 1)
        assert begin_try(ada) == 0
        assert seconds_to_wait(ada)


def test_tries_at_once_are_counted_one_by_one(
    settings: Settings, redis_url: str, ada: User
) -> None:
    use_cache(settings, REDIS, f"{redis_url}/11")
    forget_tries(ada)
    user = User(pk=ada.pk)

    def run(_number: int) -> int:
        try:
            return begin_try(user)
        finally:
            caches.close_all()

    with ThreadPoolExecutor(20) as pool:
        waits = list(pool.map(run, range(200)))
    assert waits.count(0) == password_tries.FREE_TRIES
    assert seconds_to_wait(user)


def test_cache_that_stores_nothing_slows_nobody(settings: Settings, ada: User) -> None:
    use_cache(settings, "django.core.cache.backends.dummy.DummyCache")
    client = browser(ada)
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        page = page_of(client)
        for _ in range(5):
            page = answer(client, page, "guess")
            assert "This is not your password.<" in page.text
        assert answer(client, page).status_code == 302


def test_no_password_is_checked_while_the_cache_is_unreachable(
    settings: Settings, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    use_cache(settings, REDIS, "redis://127.0.0.1:1/0")
    client = browser(ada)
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        page = page_of(client)
        with mock.patch("cookieproj.devices.asking_password.authenticate") as authenticate:
            page = answer(client, page)
        assert not authenticate.called
        assert page.status_code == 503
        assert "The password cannot be checked now." in page.text
        assert asks(page)
        assert "counts no tries" in caplog.text
        use_cache(settings, "django.core.cache.backends.locmem.LocMemCache", "again")
        assert answer(client, page).status_code == 302
