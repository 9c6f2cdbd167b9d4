"""What a bound session costs a request: the same request in turns, with a binding and without."""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import DjangoDbBlocker, Settings

from demo.models import User
from tests.conftest import connected
from tests.devices.bound_device import Device

ROUNDS, REQUESTS = 30, 40


@pytest.fixture
def ada(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[User]:
    with django_db_blocker.unblock(), connected(f"sqlite:///{tmp_path / 'db.sqlite3'}"):
        call_command("migrate", verbosity=0)
        yield User.objects.create_user("ada", password="cookies")


def seconds(device: Device) -> float:
    """The processor's time of some requests."""
    began = time.process_time()
    for _request in range(REQUESTS):
        assert device.is_in
    return time.process_time() - began


def test_cost_of_a_bound_request(
    ada: User, settings: Settings, figures: Callable[..., None]
) -> None:
    settings.DEVICES_BOUND, settings.DEVICES_BOUND_AGE = "offer", 3600
    bound = Device().bind(ada)
    settings.DEVICES_BOUND = None
    plain = Device().sign_in(ada)
    ratios = []
    for _round in range(ROUNDS):
        settings.DEVICES_BOUND = "offer"
        with_binding = seconds(bound)
        settings.DEVICES_BOUND = None
        ratios.append(with_binding / seconds(plain))
    low, median, high = statistics.quantiles(ratios, n=4)
    figures(
        "bound",
        [
            "A page that reads a bound session on `db` took the server's processor "
            f"{median:.3f} times as long as without a binding (quartiles {low:.3f} and {high:.3f} "
            f"of {ROUNDS} rounds, in turns)."
        ],
    )
    assert median < 1.25
