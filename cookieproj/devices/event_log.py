"""A line in the log for each sign-in, its failure and its end: of an incident, what happened when.

The logger is ``cookieproj.devices.event_log``, the level INFO. What a line says is in its fields as
well (``event``, ``user``, ``session``, ``device``, ``address``, ``reason``), for a formatter that
writes JSON. No line holds a session key, a password, or what was typed for a user name: people
type passwords there.
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
def started(session: SignedInSession, **kwargs: Any) -> None:
    write("session_started", **facts(session))


@receiver(session_ended)
def ended(session: SignedInSession, reason: str, **kwargs: Any) -> None:
    write("session_ended", **facts(session), reason=reason)


@receiver(sign_in_failed)
def failed(request: HttpRequest | None, **kwargs: Any) -> None:
    if request is None:
        write("sign_in_failed")
        return
    names = " on ".join(filter(None, device_of(request)))
    write("sign_in_failed", device=names, address=address_of(request))


def facts(session: SignedInSession) -> dict[str, Any]:
    names = " on ".join(filter(None, (session.browser, session.system)))
    return {
        "user": str(session.user_id),
        "session": str(session.pk),
        "device": names,
        "address": session.address,
    }


def write(event: str, **fields: Any) -> None:
    known = {name: value for name, value in fields.items() if value}
    text = " ".join(f"{name}={value!r}" for name, value in known.items())
    logger.info("%s", f"{event} {text}".rstrip(), extra={"event": event, **known})
