"""Each page and the files that it loads have less than 100 kB, uncompressed."""

import re
from functools import cache

import pytest
from django.test import Client
from pytest_django import Settings

from demo.models import User
from demo.recipes import RECIPES
from tests.sites import PAGES

MAX_BYTES = 100_000


def bytes_with_files(client: Client, path: str, seen: set[str]) -> int:
    """Return the bytes of a page and of the styles, scripts and images that it loads."""
    if path in seen:
        return 0
    seen.add(path)
    size, files = static(path) if path.startswith("/static/") else read(client, path)
    return size + sum(bytes_with_files(client, file, seen) for file in files)


@cache
def static(path: str) -> tuple[int, list[str]]:
    """Read a static file, once for all pages."""
    return read(Client(), path)


def read(client: Client, path: str) -> tuple[int, list[str]]:
    """Return the number of bytes, and the paths of the files that it loads."""
    response = client.get(path)
    assert response.status_code == 200
    content = response.getvalue()
    names = re.findall(r'(?:href|src)="(/static/[^"]+)"|from "\./([^"]+)"', content.decode())
    return len(content), [named or f"/static/demo/{imported}" for named, imported in names]


@pytest.mark.parametrize("path", [*PAGES, *(recipe.page_url for recipe in RECIPES.values())])
def test_page_is_light(path: str, client: Client, ada: User, settings: Settings) -> None:
    settings.DEBUG = True
    client.force_login(ada)
    client.post("/sessions/set-item/")
    seen: set[str] = set()
    assert bytes_with_files(client, path, seen) < MAX_BYTES
    assert "/static/demo/site.css" in seen
    if path.startswith("/recipes/"):
        assert {
            f"/static/demo/{name}.js"
            for name in (
                *("recipe", "wire", "cookie_jar", "copy_button", "curl"),
                *("jar_probe", "verdicts", "verdict_texts"),
            )
        } <= seen
