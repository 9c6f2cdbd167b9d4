"""E-mails to a user: about a sign-in from a new device, and about a session that was copied.

They are sent if DEVICES_NEW_DEVICE_EMAIL and DEVICES_COPIED_EMAIL are on.
"""

import logging
from typing import Any

from django.core.mail import send_mail
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse

from . import client_info
from .models import SignedInSession
from .user_model import email_field

logger = logging.getLogger(__name__)

# The beginnings of their templates' names.
NEW_DEVICE, COPIED = "new_device", "copied"


def send(name: str, request: HttpRequest, user: Any, session: SignedInSession) -> None:
    """Send the e-mail, if the user has an address. An error is logged: it stops no request."""
    address = getattr(user, email_field(), "")
    # The test client's ``force_login`` has a request that came from no server.
    if not address or "SERVER_NAME" not in request.META:
        return
    try:
        browser, system = client_info.device_of(request)
        address_of_request = client_info.address_of(request)
        context = {
            "user": user,
            "session": session,
            "last": SignedInSession(browser=browser, system=system, address=address_of_request),
            "host": request.get_host(),
            "devices_url": devices_url(request),
        }
        subject = render_to_string(f"cookieproj_devices/{name}_subject.txt", context)
        text = render_to_string(f"cookieproj_devices/{name}_email.txt", context)
        send_mail(" ".join(subject.split()), text, None, [address])
    except Exception:
        logger.exception("The e-mail of the kind %r to user %s was not sent.", name, user.pk)


def devices_url(request: HttpRequest) -> str:
    """Return the address of the devices page; empty if the site has none."""
    try:
        return request.build_absolute_uri(reverse("cookieproj_devices:list"))
    except NoReverseMatch:
        return ""
