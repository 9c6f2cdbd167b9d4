"""The engines of either family, and the middleware that belongs to them."""

from typing import TYPE_CHECKING

from cookieproj.engines.constants import DJANGOS, OURS

# Sites of tests/failures run with this too, and without pytest.
if TYPE_CHECKING:
    from pytest_django import Settings

    from .held import Whose

FAMILIES: dict["Whose", str] = {"ours": OURS, "Django's": DJANGOS}


def beside(engine: str, middleware: list[str]) -> list[str]:
    """That middleware, with Django's own for sessions if the engine is Django's."""
    if not engine.startswith(DJANGOS):
        return middleware
    return [name.replace("cookieproj.engines", "django.contrib.sessions") for name in middleware]


def run_on(settings: "Settings", whose: "Whose", name: str) -> None:
    settings.SESSION_ENGINE = FAMILIES[whose] + name
    settings.MIDDLEWARE = beside(settings.SESSION_ENGINE, settings.MIDDLEWARE)
