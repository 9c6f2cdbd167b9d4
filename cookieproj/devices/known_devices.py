"""Devices that a user has signed in on before, and the word to the user about a new one.

A device is a browser. At its first sign-in it gets a cookie with a random id, signed, which stays
for KNOWN_FOR: a user agent and an address would only be a guess. For each user who signs in there,
a row has a digest of the id with the user, and when it was last used. So the table does not show
which users share a device, and no cookie can be made from it.

Cookie and table are only used if somebody wants to know: with DEVICES_NEW_DEVICE_EMAIL, or with a
receiver of ``signed_in_from_new_device``.
"""

from datetime import timedelta
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from secrets import token_urlsafe
from typing import Any

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import router
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from . import conf, emails, signals
from .constants import DEVICE_COOKIE, DEVICE_COOKIE_SALT, DEVICE_LABEL
from .deferred_writes import try_write
from .models import KnownDevice, SignedInSession
from .signals_on_commit import on_commit

# Browsers keep no cookie for longer.
KNOWN_FOR = timedelta(days=400)

# Of one user. With more, those not used for longest are forgotten.
MAX_KNOWN_DEVICES = 100

# On a request with a sign-in: the id of the device, for its cookie.
DEVICE_ID_ATTRIBUTE = "signed_in_device_id"


def recognize(request: HttpRequest, user: Any, session: SignedInSession) -> None:
    """Remember the device of a sign-in, and announce it if it is a new one of the user's.

    The user's first device is not announced: there is nobody to warn after a sign-up. If the
    database refuses the write, a later sign-in announces the device.
    """
    if not is_in_use():
        return
    device_id = device_id_of(request) or token_urlsafe(16)
    setattr(request, DEVICE_ID_ATTRIBUTE, device_id)
    try_write(partial(remember, request, user, session, digest(user, device_id)))


def is_in_use() -> bool:
    return conf.new_device_email() or signals.signed_in_from_new_device.has_listeners(
        SignedInSession
    )


def remember(request: HttpRequest, user: Any, session: SignedInSession, device_digest: str) -> None:
    now = timezone.now()
    rows = KnownDevice.objects.filter(user=user.pk)
    known = rows.filter(last_used__gt=now - KNOWN_FOR)
    if known.filter(pk=device_digest).update(last_used=now):
        return
    has_others = known.exists()
    # A concurrent request of the same device may insert it too.
    device = KnownDevice(pk=device_digest, user=user, last_used=now)
    KnownDevice.objects.bulk_create([device], ignore_conflicts=True)
    rows.filter(pk=device_digest).update(last_used=now)
    surplus = rows.order_by("-last_used").values_list("pk", flat=True)[MAX_KNOWN_DEVICES:]
    rows.filter(pk__in=list(surplus)).forget()
    if has_others:
        announce = partial(announce_new_device, request, user, session)
        on_commit(announce, router.db_for_write(KnownDevice))


def announce_new_device(request: HttpRequest, user: Any, session: SignedInSession) -> None:
    signals.signed_in_from_new_device.send_robust(
        sender=SignedInSession, request=request, session=session
    )
    if conf.new_device_email():
        emails.send(emails.NEW_DEVICE, request, user, session)


def digest(user: Any, device_id: str) -> str:
    """Return what a row stores. It needs no secret: the id is too long to be guessed."""
    return sha256(f"{DEVICE_LABEL}{user.pk}:{device_id}".encode()).hexdigest()


def device_id_of(request: HttpRequest) -> str:
    """Return the id in the browser's cookie; empty if there is none that this site has made."""
    try:
        return signer().unsign(request.COOKIES.get(cookie_name(), ""))
    except BadSignature:
        return ""


def set_cookie(request: HttpRequest, response: HttpResponse) -> None:
    """Set the device's cookie after a sign-in, unless the server failed."""
    device_id = getattr(request, DEVICE_ID_ATTRIBUTE, "")
    if device_id and response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        response.set_cookie(
            cookie_name(),
            signer().sign(device_id),
            max_age=KNOWN_FOR,
            path=settings.SESSION_COOKIE_PATH,
            secure=settings.SESSION_COOKIE_SECURE or False,
            httponly=True,
            samesite=settings.SESSION_COOKIE_SAMESITE,  # type: ignore[arg-type]
        )


def cookie_name() -> str:
    """Return the name, with the prefix that keeps other hosts from setting it, where possible."""
    if not settings.SESSION_COOKIE_SECURE:
        return DEVICE_COOKIE
    return f"{'__Host-' if settings.SESSION_COOKIE_PATH == '/' else '__Secure-'}{DEVICE_COOKIE}"


def signer() -> Signer:
    return Signer(salt=DEVICE_COOKIE_SALT)
