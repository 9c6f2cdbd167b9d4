"""The cookie that a recipe sets, found by calling its view with its form's initial values."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.utils.http import parse_http_date_safe

from cookieproj.engines import running_engine
from demo.recipes import RECIPES
from demo.recipes.recipe import READS, Recipe, Subject
from demo.wire import secret_cookie_names, set_cookie_lines

from .answers import MINUTE

# The recipes that set the cookie which the other recipes read, change and delete.
SETTERS = {
    Subject.PLAIN_COOKIE: "cookies/set-cookie",
    Subject.SIGNED_COOKIE: "signed/sign",
}


@dataclass(frozen=True)
class SetCookie:
    """A Set-Cookie line. Attributes have lowercase names."""

    name: str
    value: str
    attributes: dict[str, str]

    @classmethod
    def parse(cls, line: str) -> SetCookie:
        pair, *rest = [part.strip().partition("=") for part in line.split(";")]
        return cls(pair[0], pair[2], {name.lower(): value for name, _equals, value in rest})

    @property
    def age(self) -> int | None:
        """Its age in seconds, by Expires to the minute; None if it has no age and no valid date."""
        if "max-age" in self.attributes:
            return int(self.attributes["max-age"])
        expires = parse_http_date_safe(self.attributes.get("expires", ""))
        return None if expires is None else round((expires - time.time()) / MINUTE) * MINUTE

    @property
    def is_deletion(self) -> bool:
        return self.age is not None and self.age <= 0


def cookie_of(recipe: Recipe, request: HttpRequest) -> tuple[Recipe, SetCookie, bool]:
    """Return the recipe that sets the cookie, the cookie, and whether ``recipe`` deletes it."""
    own = tried(recipe, request)
    if own and not own.is_deletion:
        return recipe, own, False
    setter = RECIPES[SETTERS[recipe.subject]]
    cookie = tried(setter, request)
    assert cookie is not None  # noqa: S101 - a setter sets one
    return setter, cookie, own is not None


def tried(recipe: Recipe, request: HttpRequest) -> SetCookie | None:
    """Return the first cookie that the recipe sets for a browser without any; None if it does not.

    A recipe that only takes POST changes something, so it is not called. Cookies of this site
    itself do not count.
    """
    method = READS[0]
    if method not in recipe.methods:
        return None
    trial: Any = HttpRequest()
    trial.method = method
    trial.META = {name: value for name, value in request.META.items() if name != "HTTP_COOKIE"}
    trial.path = trial.path_info = recipe.url
    trial.GET, trial.POST = QueryDict(), QueryDict()
    trial.session, trial.user = running_engine.store()(), AnonymousUser()
    form = recipe.bind(trial)
    response: HttpResponseBase | None = (
        recipe.view(trial, **form.cleaned_data) if form.is_valid() else None
    )
    lines = set_cookie_lines(response) if response else []  # type: ignore[arg-type]
    cookies = [SetCookie.parse(line) for line in lines]
    others = (cookie for cookie in cookies if cookie.name not in secret_cookie_names())
    return next(others, None)
