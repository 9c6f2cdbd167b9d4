"""Each recipe works on what the recipes before it have left, in the order of the pages."""

import re
from typing import Any

from django.conf import settings as site_settings
from django.http import HttpRequest
from django.test import Client
from pytest_django import Settings

from cookieproj.engines.cookie_settings import MAX_COOKIE_BYTES
from demo.models import User
from demo.recipes import RECIPES
from demo.recipes.recipe import Recipe
from tests.families import IN_COOKIES

# What a recipe says if something is missing.
MISSING = re.compile(
    r"KeyError|BadSignature|sent no cookie|has no key|No session key|No test cookie|was None"
    r"|has no session|was no session|No twin"
)


class Visitor(Client):
    """A browser: it drops large cookies, and keeps the one that it has of that name."""

    def request(self, **request: Any) -> Any:
        before = {name: cookie.value for name, cookie in self.cookies.items()}
        response = super().request(**request)
        for name, cookie in response.cookies.items():
            if len(name) + len(cookie.value) > MAX_COOKIE_BYTES:
                self.cookies[name] = before[name]
        return response


def run(visitor: Client, recipe: Recipe) -> str:
    """Run the recipe as its page shows it, which fills in a demo account if it asks for one."""
    data = recipe.controls(HttpRequest()).initial
    response = getattr(visitor, recipe.form_method)(recipe.url, data)
    assert response.status_code in (200, 302), response.content
    # The texts of the recipes that follow are compared in English.
    visitor.cookies.pop(site_settings.LANGUAGE_COOKIE_NAME, None)
    return b"".join(response).decode().strip()


def test_recipes_work_in_order_of_pages(profile: str, settings: Settings, ada: User) -> None:
    settings.DEBUG = True
    visitor = Visitor()
    output = {route: run(visitor, recipe) for route, recipe in RECIPES.items()}
    assert {route: text for route, text in output.items() if MISSING.search(text)} == {}
    nobody = {route for route, text in output.items() if "Nobody was" in text}
    # It comes after the sign-out of the recipes before.
    assert nobody <= {"leaving/sign-out-and-clear"}
    assert output["reading/by-name"] == "color is blue"
    assert output["signed/read"] == "color is blue"
    assert output["sessions/del-item"] == "color is removed."
    assert "HeldByClientError" in output["sessions/apply"] or profile not in IN_COOKIES


def test_recipe_to_run_again_works_again(profile: str, ada: User) -> None:
    visitor = Visitor()
    for route in ("sessions/nested", "signed/change-the-key"):
        first, second, third = (run(visitor, RECIPES[route]) for _ in range(3))
        assert "again" in first
        assert second == third or route == "sessions/nested"
        assert not MISSING.search(second + third)
