"""The cookies that a recipe sets, found by calling its view with its form's initial values."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseBase, QueryDict

from cookieproj.engines import running_engine
from demo.recipes import RECIPES
from demo.recipes.recipe import READS, Recipe, Subject
from demo.set_cookie import SetCookie
from demo.wire import secret_cookie_names, set_cookie_lines

# The recipes whose cookie others read, change and delete, unless their ``works_on`` is a route.
SETTERS = {
    Subject.PLAIN_COOKIE: "cookies/set-cookie",
    Subject.SIGNED_COOKIE: "signed/sign",
}


def cookies_of(recipe: Recipe, request: HttpRequest) -> tuple[Recipe, list[SetCookie], bool]:
    """Return the recipe that sets the cookies, the cookies, and whether ``recipe`` deletes them."""
    own = tried(recipe, request)
    if set_by_itself := [cookie for cookie in own if not cookie.is_deletion]:
        return recipe, set_by_itself, False
    works_on = recipe.works_on
    setter = RECIPES[works_on if isinstance(works_on, str) else SETTERS[recipe.subject]]
    cookies = tried(setter, request)
    identities = {cookie.identity for cookie in own}
    deleted = [cookie for cookie in cookies if cookie.identity in identities]
    return setter, deleted or cookies, bool(deleted)


def tried(recipe: Recipe, request: HttpRequest) -> list[SetCookie]:
    """Return the cookies that the recipe sets or deletes for a browser without any.

    A recipe that only takes POST changes something, so it is not called. Cookies of this site
    itself do not count.
    """
    method = READS[0]
    if method not in recipe.methods:
        return []
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
    cookies = [SetCookie(line, trial) for line in lines]
    return [cookie for cookie in cookies if cookie.pair[0] not in secret_cookie_names()]
