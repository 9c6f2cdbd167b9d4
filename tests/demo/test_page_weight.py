"""No page is heavier than 100 kB, with all that it loads, uncompressed."""

import re
from functools import cache

import pytest
from django.test import Client
from pytest_django import Settings

from demo.models import User
from demo.recipes import RECIPES

PAGES = ["/", "/engines/", "/session/?whole", "/break/", "/switch/", "/devices/"]
MOST = 100_000


def loaded(client: Client, path: str, seen: set[str]) -> int:
    """Bytes of it, and of the styles, scripts and pictures that it names."""
    if path in seen:
        return 0
    seen.add(path)
    size, below = static(path) if path.startswith("/static/") else read(client, path)
    return size + sum(loaded(client, found, seen) for found in below)


@cache
def static(path: str) -> tuple[int, list[str]]:
    """Which is to all pages the same."""
    return read(Client(), path)


def read(client: Client, path: str) -> tuple[int, list[str]]:
    """How many bytes it has, and what it names."""
    response = client.get(path)
    assert response.status_code == 200
    content = response.getvalue()
    names = re.findall(r'(?:href|src)="(/static/[^"]+)"|from "\./([^"]+)"', content.decode())
    return len(content), [named or f"/static/demo/{imported}" for named, imported in names]


@pytest.mark.parametrize("path", [*PAGES, *(recipe.page_url for recipe in RECIPES.values())])
def test_a_page_is_light(path: str, client: Client, ada: User, settings: Settings) -> None:
    settings.DEBUG = True
    client.force_login(ada)
    client.post("/sessions/set-item/")
    seen: set[str] = set()
    assert loaded(client, path, seen) < MOST
    assert "/static/demo/site.css" in seen
    if path.startswith("/recipes/"):
        assert {
            f"/static/demo/{name}.js" for name in ("recipe", "wire", "cookie_jar", "copy_button")
        } <= seen
