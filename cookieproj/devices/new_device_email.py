"""The e-mail about a sign-in from a new device, for DEVICES_NEW_DEVICE_EMAIL."""

import logging
from typing import Any

from django.core.mail import send_mail
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse

from .models import SignedInSession
from .user_model import email_field

logger = logging.getLogger(__name__)


def send(request: HttpRequest, user: Any, session: SignedInSession) -> None:
    """Send the e-mail, if the user has an address. An error is logged: it stops no sign-in."""
    address = getattr(user, email_field(), "")
    # The test client's ``force_login`` has a request that came from no server.
    if not address or "SERVER_NAME" not in request.META:
        return
    try:
        context = {
            "user": user,
            "session": session,
            "host": request.get_host(),
            "devices_url": devices_url(request),
        }
        subject = render_to_string("cookieproj_devices/new_device_subject.txt", context)
        text = render_to_string("cookieproj_devices/new_device_email.txt", context)
        send_mail(" ".join(subject.split()), text, None, [address])
    except Exception:
        logger.exception("The e-mail about a new device of user %s was not sent.", user.pk)


def devices_url(request: HttpRequest) -> str:
    """Return the address of the devices page; empty if the site has none."""
    try:
        return request.build_absolute_uri(reverse("cookieproj_devices:list"))
    except NoReverseMatch:
        return ""
