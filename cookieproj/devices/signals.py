"""Signals of this app. ``event_log`` also logs each of them."""

from django.dispatch import Signal

# A user has signed in. Arguments: ``request``, and ``session``, the SignedInSession.
session_started = Signal()

# A user has signed in on a device that the user has not used before, and has used others. Arguments
# as for ``session_started``. ``known_devices`` describes what a device is.
signed_in_from_new_device = Signal()

# A signed-in session has ended before its expiry; sent once for each. Arguments: ``session``, the
# SignedInSession as it was, and ``reason``, one of REASONS. ``signals_on_commit`` describes when it
# is sent.
session_ended = Signal()

# A sign-in has failed. Arguments: ``request``, None outside of one, and ``credentials`` as in
# Django's user_login_failed, without the secret ones.
sign_in_failed = Signal()

# The user has signed out in that browser.
SIGNED_OUT = "signed out"
# The user, staff or a command has ended the single session from elsewhere.
ENDED = "ended"
# All sessions of the user have ended at once.
EVERYWHERE = "signed out everywhere"
# The session hash is no longer the user's.
PASSWORD = "password changed"  # noqa: S105
# Another user has signed in with the same session.
REPLACED = "another user signed in"
# The user has signed in on another device, and may be signed in on no more: see DEVICES_LIMIT.
DEVICE_LIMIT = "device limit"
# The session had to be bound to its device, and the browser has registered no key: see
# DEVICES_BOUND.
NO_KEY = "no key of the device"
# Two have used the session, one of them with a copied cookie: see SESSION_END_COPIED.
COPIED = "copied cookie"

REASONS = (SIGNED_OUT, ENDED, EVERYWHERE, PASSWORD, REPLACED, DEVICE_LIMIT, NO_KEY, COPIED)
