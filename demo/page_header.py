"""The header of every page: the engine, the session's expiry, and the signed-in user."""

import logging
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from cookieproj.engines.engine_registry import current_engine
from cookieproj.engines.english import in_english
from cookieproj.engines.entries import Entry, ListedSession, Location
from cookieproj.engines.exceptions import StoreError
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.listing import ListingMixin

from .recipes import RECIPES
from .wording import time_until

logger = logging.getLogger("django.request")


@dataclass(frozen=True)
class State:
    """What the page header shows of a request, read when the template asks for it."""

    request: HttpRequest

    @property
    def engine(self) -> str:
        """The running engine: the short name of one of ours, the dotted path of any other."""
        return current_engine().label

    @property
    def is_known(self) -> bool:
        """Whether the store answers. A page that needs no session is shown even if it does not."""
        return self.failure is None

    @cached_property
    def failure(self) -> StoreError | None:
        """The error of a store that does not answer."""
        try:
            _ = self.locations
        except StoreError as error:
            logger.warning("%s: %s", self.request.path, in_english(error))
            return error
        return None

    @cached_property
    def user(self) -> Any:
        """The signed-in user, or None."""
        user = self.request.user
        return user if user.is_authenticated else None

    @cached_property
    def locations(self) -> list[Location]:
        """Where the session is stored; empty without a session, or if the engine cannot locate it.

        The user is read first: Django ends a session whose sign-in is no longer valid.
        """
        _ = self.user
        session: Any = self.request.session
        return session.locate() if session.session_key and self.can_tell else []

    @property
    def expires(self) -> datetime | None:
        """When the session expires. None without a session, or if the engine does not report it."""
        return self.locations[0].expires if self.locations else None

    @property
    def time_left(self) -> str:
        """The time until the session expires; "" if that is not known."""
        return time_until(self.expires) if self.expires else ""

    @property
    def has_session(self) -> bool:
        """Whether the cookie opens a session. Some caches have one and cannot locate it."""
        return bool(self.locations or self.request.session.keys())

    @property
    def has_cookie(self) -> bool:
        """Whether the browser has sent a session cookie, valid or not."""
        return settings.SESSION_COOKIE_NAME in self.request.COOKIES

    @cached_property
    def is_readable(self) -> bool:
        """Whether this site can read what is stored. After a change of SECRET_KEY it may not."""
        session: Any = self.request.session
        if not self.locations or session.keys():
            return True
        payload, entry = self.locations[0].payload, Entry(None, dict)
        listed = ListedSession(session.session_key, payload, entry)
        return store_of(type(session)).is_readable(listed)

    @property
    def can_tell(self) -> bool:
        """Whether the engine can locate a session, and so knows its expiry."""
        return isinstance(self.request.session, ListingMixin)

    @property
    def ends_at_browser_close(self) -> bool:
        return bool(self.request.session.get_expire_at_browser_close())


def state(request: HttpRequest) -> dict[str, State]:
    """Context processor: add ``state``, which reads nothing until a template uses it.

    The responses of recipes have none: visitors look at what the recipe itself does with the
    session.
    """
    match = request.resolver_match
    is_recipe = match is not None and match.url_name in RECIPES
    # A request that an early middleware refused has no user.
    if is_recipe or not hasattr(request, "user"):
        return {}
    return {"state": State(request)}
