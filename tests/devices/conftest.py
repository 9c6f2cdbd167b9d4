import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from pytest_django import Settings

from cookieproj.devices import signals
from cookieproj.devices.event_log import logger
from cookieproj.devices.models import SignedInSession

# Each signal by its name or reason, and the session's id or the user's name.
SentSignals = list[tuple[str, str]]


@pytest.fixture
def fresh_cache(settings: Settings) -> Iterator[None]:
    """The default cache before and after the test, which counts wrong passwords, is empty."""
    cache.clear()
    yield
    cache.clear()


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
