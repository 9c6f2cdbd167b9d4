"""What stands above every page: the engine, who is signed in, and when the session ends."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.http import HttpRequest

from cookieproj.engines.engine_registry import current_engine
from cookieproj.engines.exceptions import StoreError
from cookieproj.engines.listing import ListingMixin

from .recipes import RECIPES


@dataclass(frozen=True)
class State:
    """Of one request."""

    request: HttpRequest

    @property
    def engine(self) -> str:
        """By its short name, if it is one of ours."""
        return current_engine().label

    @cached_property
    def is_known(self) -> bool:
        """Whether the store answers. If it does not, a page that can do without it still comes."""
        try:
            _ = self.user, self.expires
        except StoreError:
            return False
        return True

    @cached_property
    def user(self) -> Any:
        """Who is signed in; None for nobody."""
        user = self.request.user
        return user if user.is_authenticated else None

    @cached_property
    def expires(self) -> datetime | None:
        """When the session ends unless it is changed; None where there is none, or nobody knows."""
        session: Any = self.request.session
        located = session.locate() if session.session_key and self.can_tell else []
        return located[0].expires if located else None

    @property
    def can_tell(self) -> bool:
        """Whether the engine tells where a session is, and so till when."""
        return isinstance(self.request.session, ListingMixin)

    @property
    def ends_with_the_browser(self) -> bool:
        ends: bool = self.request.session.get_expire_at_browser_close()
        return ends


def state(request: HttpRequest) -> dict[str, State]:
    """A context processor: nothing is asked until a template asks.

    Where a recipe answers it is silent, since what the recipe itself asks of the session is
    what people look at.
    """
    match = request.resolver_match
    is_recipe = match is not None and match.url_name in RECIPES
    # A request that was refused early has no user.
    if is_recipe or not hasattr(request, "user"):
        return {}
    return {"state": State(request)}
