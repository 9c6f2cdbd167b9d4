"""What the entries of a session mean that Django and this project put there themselves."""

from collections.abc import Iterator
from typing import Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.middleware.csrf import CSRF_SESSION_KEY
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cookieproj.devices.constants import BINDING_ITEM, ROW_ITEM
from cookieproj.engines.constants import (
    AUTH_TIME,
    EXCHANGED_KEY,
    EXPIRY_ITEM,
    KEY_SINCE,
    MESSAGES_ITEM,
    RENEWED_FROM,
)

MEANINGS = {
    SESSION_KEY: _("The user who is signed in, by primary key. login() sets it."),
    BACKEND_SESSION_KEY: _("The authentication backend that Django loads the user with."),
    HASH_SESSION_KEY: _(
        "A hash of the user's password, made with SECRET_KEY. If the password changes, it no "
        "longer matches, and the user is signed out."
    ),
    ROW_ITEM: _("The row of this session for the page “Your devices”, and its expiry there."),
    AUTH_TIME: _("When the user last signed in or gave the password, in seconds since 1970."),
    BINDING_ITEM: _("The public key of the device that this session is bound to."),
    EXPIRY_ITEM: _("The argument of set_expiry(): seconds or a moment."),
    KEY_SINCE: _("Since when the session has its key, in seconds since 1970."),
    RENEWED_FROM: _("The key before the renewal, until the browser has sent the new one."),
    EXCHANGED_KEY: _("The key that this cookie was exchanged for in a handover."),
    MESSAGES_ITEM: _("Messages that wait until a page shows them."),
    CSRF_SESSION_KEY: _("The secret of the CSRF tokens, because CSRF_USE_SESSIONS is on."),
}


def explained_entries(session: Any) -> Iterator[tuple[str, Promise]]:
    """Yield the name and the meaning of each of these entries that the session has."""
    return ((name, meaning) for name, meaning in MEANINGS.items() if name in session)
