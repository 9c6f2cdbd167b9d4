"""The engines of either family, and the middleware that belongs to them."""

from typing import TYPE_CHECKING

from cookieproj.engines.constants import (
    DB,
    DJANGO_ENGINE_NAMES,
    DJANGO_ENGINES,
    ENCRYPTED_COOKIES,
    ENGINE_NAMES,
    OUR_ENGINES,
    SIGNED_COOKIES,
)

# The sites of tests/failures import this without pytest.
if TYPE_CHECKING:
    from pytest_django import Settings

    from .fault_table import Whose

SESSION_MIDDLEWARE = {
    "cookieproj.engines.middleware.SessionMiddleware": (
        "django.contrib.sessions.middleware.SessionMiddleware"
    )
}

# Engines whose session is the cookie.
COOKIE_ENGINES = (SIGNED_COOKIES, ENCRYPTED_COOKIES)
IN_COOKIES = frozenset(COOKIE_ENGINES)
SERVER_ENGINES = tuple(name for name in ENGINE_NAMES if name not in IN_COOKIES)

FAMILIES: dict["Whose", str] = {"ours": OUR_ENGINES, "Django's": DJANGO_ENGINES}


def beside(engine: str, middleware: list[str]) -> list[str]:
    """The middleware, with Django's session middleware if the engine is Django's."""
    if not engine.startswith(DJANGO_ENGINES):
        return middleware
    return [SESSION_MIDDLEWARE.get(name, name) for name in middleware]


def mirrored(name: str) -> str:
    """The engine of Django's with which ours of that name is compared."""
    if name in DJANGO_ENGINE_NAMES:
        return name
    return SIGNED_COOKIES if name == ENCRYPTED_COOKIES else DB


def run_on(settings: "Settings", whose: "Whose", name: str) -> None:
    settings.SESSION_ENGINE = FAMILIES[whose] + (name if whose == "ours" else mirrored(name))
    settings.MIDDLEWARE = beside(settings.SESSION_ENGINE, settings.MIDDLEWARE)
