"""Logs each sign-in, each failed one, and the end of each session, as one line each.

The logger is ``cookieproj.devices.event_log``, the level INFO. The facts of a line are also fields
of its record (``event``, ``user``, ``session``, ``device``, ``address``, ``reason``), for a
formatter that writes JSON. No line contains a session key, a password, or the text typed as a user
name, because people type passwords there.
"""

import logging
from typing import Any

from django.dispatch import receiver
from django.http import HttpRequest

from .client_info import address_of, device_of
from .models import SignedInSession
from .signals import session_ended, session_started, sign_in_failed

logger = logging.getLogger(__name__)


@receiver(session_started)
def log_session_started(session: SignedInSession, **kwargs: Any) -> None:
    log_event("session_started", **session_fields(session))


@receiver(session_ended)
def log_session_ended(session: SignedInSession, reason: str, **kwargs: Any) -> None:
    log_event("session_ended", **session_fields(session), reason=reason)


@receiver(sign_in_failed)
def log_sign_in_failed(request: HttpRequest | None, **kwargs: Any) -> None:
    if request is None:
        log_event("sign_in_failed")
        return
    device = " on ".join(filter(None, device_of(request)))
    log_event("sign_in_failed", device=device, address=address_of(request))


def session_fields(session: SignedInSession) -> dict[str, Any]:
    return {
        "user": str(session.user_id),
        "session": str(session.pk),
        "device": " on ".join(filter(None, (session.browser, session.system))),
        "address": session.address,
    }


def log_event(event: str, **fields: Any) -> None:
    """Log the event with those of the fields that are not empty."""
    fields = {name: value for name, value in fields.items() if value}
    text = " ".join(f"{name}={value!r}" for name, value in fields.items())
    logger.info("%s", f"{event} {text}".rstrip(), extra={"event": event, **fields})
