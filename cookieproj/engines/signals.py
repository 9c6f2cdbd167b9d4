"""The signals that the engines send."""

from django.dispatch import Signal

# Sent by movesessions before it deletes sessions from the old store. ``keys`` is a list of session
# keys, ``old`` and ``new`` are EngineRefs. If a receiver raises, the sessions stay in the old
# store.
sessions_moved = Signal()

# Sent after a stored session was deleted in the admin, with its ``session_key``.
stored_session_deleted = Signal()

# Sent after a request has ended a session with a key that was renewed long ago: see
# SESSION_END_COPIED. ``session`` is that of the request, now empty; ``data`` is the data of the one
# that has ended.
copied_session_ended = Signal()
