import logging
from collections.abc import Iterator
from typing import Any

import pytest

from cookieproj.devices import signals
from cookieproj.devices.event_log import logger
from cookieproj.devices.models import SignedInSession

Heard = list[tuple[str, Any]]


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[Heard]:
    """What a site's receivers are told, in their order; most of it when a transaction commits.

    A test that asks for it is marked ``django_db(transaction=True)``.
    """
    caplog.set_level(logging.INFO, logger.name)
    found: Heard = []

    def started(session: SignedInSession, **kwargs: Any) -> None:
        found.append(("started", session.pk))

    def ended(session: SignedInSession, reason: str, **kwargs: Any) -> None:
        assert reason in signals.REASONS
        found.append((reason, session.pk))

    def failed(credentials: dict[str, Any], **kwargs: Any) -> None:
        found.append(("failed", credentials["username"]))

    signals.session_started.connect(started)
    signals.session_ended.connect(ended)
    signals.sign_in_failed.connect(failed)
    yield found
    signals.session_started.disconnect(started)
    signals.session_ended.disconnect(ended)
    signals.sign_in_failed.disconnect(failed)


def told(heard: Heard) -> list[tuple[str, str]]:
    return [(what, str(which)) for what, which in heard]
