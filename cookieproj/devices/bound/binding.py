"""A session's binding to the key of a device: an entry in the session's own data."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import Any, Self

from django.http import HttpRequest

from cookieproj.devices.constants import BINDING_ITEM
from cookieproj.engines.clock import as_django_stores
from cookieproj.engines.exceptions import HeldByClientError, SessionEndedError
from cookieproj.engines.renewal import keeping_expiry

from .proofs import PublicKey


@dataclass(frozen=True)
class Binding:
    """``id`` names the session to the browser.

    Moments in seconds since 1970: ``offered``; ``registered``, that of the browser's key; and
    ``confirmed``, when the browser first sent the bound cookie. Until then the response that set it
    may be lost, and the session opens without it. ``is_required`` says that the session ends
    unless it is confirmed soon.

    Moments of challenges, in milliseconds: ``used`` is that of the last one whose proof has renewed
    the bound cookie. ``spent`` is that of the last one whose proof has admitted a request to a view
    with ``proof_now``; ``spent_for`` are the purposes of these requests.
    """

    id: str
    offered: int
    is_required: bool = False
    algorithm: str = ""
    jwk: Any = None
    registered: int = 0
    confirmed: int = 0
    used: int = 0
    spent: int = 0
    spent_for: str = ""

    @classmethod
    def new(cls, *, is_required: bool) -> Self:
        return cls(token_urlsafe(16), int(time.time()), is_required)

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Return what the session has stored. Another version of this app may know more of it."""
        return cls(**{field.name: item[field.name] for field in fields(cls) if field.name in item})

    @property
    def key(self) -> PublicKey | None:
        return PublicKey(self.algorithm, self.jwk) if self.jwk else None

    @property
    def registered_at(self) -> datetime:
        return as_django_stores(datetime.fromtimestamp(self.registered, UTC))

    def with_key(self, key: PublicKey, used: int) -> Self:
        return replace(
            self, algorithm=key.algorithm, jwk=key.jwk, registered=int(time.time()), used=used
        )

    def with_confirmation(self) -> Self:
        return replace(self, confirmed=self.confirmed or int(time.time()))

    def as_item(self) -> dict[str, Any]:
        """Return what the session stores."""
        return {name: value for name, value in asdict(self).items() if value}


def binding_of(data: Mapping[str, Any]) -> Binding | None:
    """Return the binding in a session, or in its data; None if it has none."""
    item = data.get(BINDING_ITEM)
    return Binding.from_item(item) if item else None


def change_binding(
    request: HttpRequest, binding: Binding, change: Callable[[Binding], Binding | None]
) -> bool:
    """Store what ``change`` returns for the binding that is stored now, and return True.

    With None the session is bound no more.

    Return False, and change nothing, if only the browser has the session. Otherwise the change is
    stored at once, and moves no expiry. The response sets no cookie for it: a sign-in in another
    tab may have given the session a new key. A session that has another binding by now stays as it
    is; True is returned for it too.

    Raises what ``change`` raises, SessionEndedError, and StoreError.
    """
    session: Any = request.session
    was_modified = session.modified

    def change_stored(item: Any) -> Any:
        if item is None:
            raise KeyError(BINDING_ITEM)
        stored = Binding.from_item(item)
        if stored.id != binding.id:
            return item
        changed = change(stored)
        return changed.as_item() if changed else None

    try:
        with keeping_expiry(session):
            session.apply(BINDING_ITEM, change_stored)
    except HeldByClientError:
        return False
    except KeyError:
        # Another request has signed in again, without a binding, or has removed it.
        raise SessionEndedError from None
    session.modified = was_modified
    return True
