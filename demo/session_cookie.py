"""The value of a session's cookie."""

from typing import Any

from cookieproj.engines.signed_ids import is_whole_session, sign, signs_ids


def cookie_of(session: Any) -> str:
    """Return the value of the session's cookie, as the middleware would set it."""
    key = str(session.session_key)
    is_signed = signs_ids() and not is_whole_session(type(session), key)
    return sign(key) if is_signed else key
