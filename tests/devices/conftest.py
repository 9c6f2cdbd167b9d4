import logging
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from pytest_django import Settings

from cookieproj.devices import signals
from cookieproj.devices.bound.admission import GRACE
from cookieproj.devices.event_log import logger
from cookieproj.devices.models import SignedInSession
from demo.models import User

from .bound_device import BOUND_AGE, Device

# Each signal by its name or reason, and the session's id or the user's name.
SentSignals = list[tuple[str, str]]


@pytest.fixture
def fresh_cache(settings: Settings) -> Iterator[None]:
    """The default cache before and after the test, which counts wrong passwords, is empty."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def bound(settings: Settings, profile: str) -> None:
    """Sessions are bound, on each profile."""
    settings.DEVICES_BOUND = "offer"
    settings.DEVICES_BOUND_AGE = BOUND_AGE


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(1_800_000_000) as clock:
        yield clock


@pytest.fixture
def device(bound: None, clock: Any, ada: User) -> Device:
    """A device with a bound session, whose grace is over."""
    device = Device().bind(ada)
    clock.shift(GRACE + 1)
    return device


@pytest.fixture
def sent_signals(caplog: pytest.LogCaptureFixture) -> Iterator[SentSignals]:
    """The signals of the app, in the order in which they are sent.

    Most are sent when a transaction commits, so tests that use this fixture are marked
    ``django_db(transaction=True)``.
    """
    caplog.set_level(logging.INFO, logger.name)
    sent: SentSignals = []

    def started(session: SignedInSession, **kwargs: Any) -> None:
        sent.append(("started", str(session.pk)))

    def ended(session: SignedInSession, reason: str, **kwargs: Any) -> None:
        assert reason in signals.REASONS
        sent.append((reason, str(session.pk)))

    def failed(credentials: dict[str, Any], **kwargs: Any) -> None:
        sent.append(("failed", credentials["username"]))

    signals.session_started.connect(started)
    signals.session_ended.connect(ended)
    signals.sign_in_failed.connect(failed)
    yield sent
    signals.session_started.disconnect(started)
    signals.session_ended.disconnect(ended)
    signals.sign_in_failed.disconnect(failed)
