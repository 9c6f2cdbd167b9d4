"""Signals of this app. Each is also a line in the log, see ``timeline``."""

from django.dispatch import Signal

# Somebody has signed in: ``request``, and ``session``, the SignedInSession.
session_started = Signal()

# A signed-in session has ended: ``session``, the SignedInSession as it was, and ``reason``, one of
# REASONS. Sent once for each; one that expires is not told of. When, ``announcements`` says.
session_ended = Signal()

# Somebody tried to sign in, and may not: ``request`` (None outside of one), and ``credentials`` as
# Django's user_login_failed has them, without what is secret.
sign_in_failed = Signal()

# By its owner, there.
SIGNED_OUT = "signed out"
# By itself, from elsewhere: by its owner on another device, by staff or by a command.
ENDED = "ended"
# With all others of the user.
EVERYWHERE = "signed out everywhere"
# By another password.
PASSWORD = "password changed"  # noqa: S105

# By another user, who has signed in over it.
REPLACED = "another user signed in"

REASONS = (SIGNED_OUT, ENDED, EVERYWHERE, PASSWORD, REPLACED)
