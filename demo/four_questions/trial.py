"""The cookies that a recipe sets or deletes, found by calling its view."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseBase, QueryDict

from cookieproj.engines import running_engine
from demo.recipes import RECIPES
from demo.recipes.form_errors import error_messages
from demo.recipes.recipe import READS, Recipe, Subject
from demo.set_cookie import SetCookie
from demo.wire import secret_cookie_names, set_cookie_lines

# The recipes whose cookie others read, change and delete, unless their ``works_on`` is a route.
SETTERS = {
    Subject.PLAIN_COOKIE: "cookies/set-cookie",
    Subject.SIGNED_COOKIE: "signed/sign",
}


class NotSetError(ValueError):
    """The recipe that sets the cookie refuses the values. The message says why."""


@dataclass(frozen=True)
class CookiesOfRecipe:
    """The cookies that ``setter`` sets, and what the recipe itself deletes.

    ``setter`` is the recipe itself if it sets any.
    """

    setter: Recipe
    cookies: list[SetCookie]
    deletions: list[SetCookie]

    @property
    def deleted(self) -> list[SetCookie]:
        identities = {deletion.identity for deletion in self.deletions}
        return [cookie for cookie in self.cookies if cookie.identity in identities]


def cookies_of(recipe: Recipe, request: HttpRequest, values: Mapping[str, Any]) -> CookiesOfRecipe:
    """Try the recipe, and another one that sets its cookie if it sets none, with the form's values.

    Raises NotSetError if the other one does not take them.
    """
    own = tried(recipe, request, values)
    if set_by_itself := [cookie for cookie in own if not cookie.is_deletion]:
        return CookiesOfRecipe(recipe, set_by_itself, [])
    works_on = recipe.works_on
    setter = RECIPES[works_on if isinstance(works_on, str) else SETTERS[recipe.subject]]
    return CookiesOfRecipe(
        setter,
        tried(setter, request, values),
        # Browsers drop a deletion for the same reasons as a cookie.
        [deletion for deletion in own if not any(deletion.reasons())],
    )


def tried(recipe: Recipe, request: HttpRequest, values: Mapping[str, Any]) -> list[SetCookie]:
    """Return the cookies that the recipe sets or deletes for a browser without any.

    A recipe that only takes POST changes something, so it is not called. Cookies of this site
    itself do not count.
    """
    method = READS[0]
    if method not in recipe.methods:
        return []
    trial = without_cookies(request)
    trial.method = method
    trial.META = {name: value for name, value in request.META.items() if name != "HTTP_COOKIE"}
    trial.path = trial.path_info = recipe.url
    trial.GET, trial.POST = QueryDict(mutable=True), QueryDict()
    trial.GET.update(values)
    trial.user = AnonymousUser()
    form = recipe.bind(trial)
    if not form.is_valid():
        raise NotSetError(error_messages(form))
    response: HttpResponseBase = recipe.view(trial, **form.cleaned_data)
    lines = set_cookie_lines(response)  # type: ignore[arg-type]
    cookies = [SetCookie(line, trial) for line in lines]
    return [cookie for cookie in cookies if cookie.pair[0] not in secret_cookie_names()]


def without_cookies(request: HttpRequest) -> Any:
    """Return a copy of the request without cookies, whose session is new and not saved.

    It has the scheme and the host of the request, which a new one has not.
    """
    trial: Any = copy(request)
    trial.COOKIES = {}
    trial.session = running_engine.store()()
    return trial
