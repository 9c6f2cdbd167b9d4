"""Sessions in a signed cookie: the browser can read its session, and cannot change it."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from django.core import signing

from .constants import COOKIE_SALT
from .cookie_sessions import CookieSession, OpenedCookie
from .encryption import secrets
from .merge import Data
from .signatures import dumps, loads, sign, verify_and_unpack
from .subclass_hooks import signs_like_django

# The data, compressed or not, the time and the signature, in the format of Django's signer.
SIGNED_COOKIE = re.compile(r"\.?[\w-]*:\w+:[\w-]{43}")


class SessionStore(CookieSession):
    """In the format of Django's engine: each reads the cookies of the other."""

    @classmethod
    def is_cookie(cls, session_key: str | None) -> bool:
        return bool(SIGNED_COOKIE.fullmatch(session_key or ""))

    def make_cookie(self, data: Data, written: datetime) -> str:
        if signs_like_django(self):
            serialized = dumps(data)
            return sign(serialized, COOKIE_SALT, int(written.timestamp()))
        return SignerAsOf(written).sign_object(data, serializer=self.serializer, compress=True)

    def open_cookie(self, cookie: str) -> OpenedCookie:
        """Raises BadSignature, or what the serializer raises."""
        if signs_like_django(self):
            serialized, second, secret = verify_and_unpack(cookie, COOKIE_SALT)
            content: Any = loads(serialized)
            return OpenedCookie(content, datetime.fromtimestamp(second, UTC), secret)
        for secret in secrets():
            signer = signing.TimestampSigner(key=secret, fallback_keys=[], salt=COOKIE_SALT)
            with suppress(signing.BadSignature):
                data: Any = signer.unsign_object(cookie, serializer=self.serializer)
                seconds = signing.b62_decode(cookie.rsplit(":", 2)[1])
                return OpenedCookie(data, datetime.fromtimestamp(seconds, UTC), secret)
        raise signing.BadSignature


class SignerAsOf(signing.TimestampSigner):
    """Signs with the given time in place of the current one."""

    def __init__(self, moment: datetime) -> None:
        super().__init__(salt=COOKIE_SALT)
        self.moment = moment

    def timestamp(self) -> str:
        return signing.b62_encode(int(self.moment.timestamp()))
