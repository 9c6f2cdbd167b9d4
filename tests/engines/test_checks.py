"""What is checked in a site that has the engines and nothing else of this project."""

from pathlib import Path

import pytest

from tests.sites import forks

SETTINGS = """
SECRET_KEY = "not-a-secret"
INSTALLED_APPS = [*{apps}, "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
SESSION_ENGINE = "{engine}"
SESSION_CACHE_ALIAS = "{alias}"
SESSION_FILE_PATH = "{folder}"
CACHES = {{
    "default": {{
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "{folder}"
    }},
    "memory": {{"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
}}
"""

# A store of the site's own, as Django's documentation has it, beside its model.
SHOP = """
from cookieproj.engines.cache import SessionStore as CacheStore

class SessionStore(CacheStore):
    cache_key_prefix = "shop."
"""

# As django-admin, with that folder to import from.
ADMIN = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from django.core.management import execute_from_command_line
execute_from_command_line()
"""

APP = "cookieproj.engines"


def checked(
    folder: Path, engine: str = f"{APP}.cache", alias: str = "default", apps: tuple[str, ...] = ()
) -> str:
    """What manage.py check says there."""
    (folder / "site_settings.py").write_text(
        SETTINGS.format(engine=engine, alias=alias, apps=list(apps), folder=folder)
    )
    shop = folder / "shop"
    shop.mkdir()
    (shop / "__init__.py").touch()
    (shop / "models.py").write_text(SHOP)
    arguments = "check", "--settings=site_settings"
    ran = forks().run("-c", ADMIN, str(folder), *arguments)
    return ran.stdout + ran.stderr


def test_a_cache_that_cannot_compare_and_swap_is_warned_of(tmp_path: Path) -> None:
    said = checked(tmp_path, apps=(APP,))
    assert "(engines.W002) The cache of the sessions" in said
    assert "FileBasedCache" in said
    assert "1 issue" in said


def test_nor_need_the_app_be_installed_where_a_store_is_made_of_ours(tmp_path: Path) -> None:
    said = checked(tmp_path, engine="shop.models", apps=("shop",))
    assert "(engines.W002)" in said


@pytest.mark.parametrize(
    ("name", "alias", "warned"),
    [
        (f"{APP}.cache", "memory", "engines.W001"),
        (f"{APP}.cached_db", "memory", "engines.W001"),
        (f"{APP}.file", "default", "engines.W004"),
        ("shop.stores", "default", "engines.E001"),
    ],
)
def test_nor_is_anything_else_left_to_the_demonstration(
    name: str, alias: str, warned: str, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    said = checked(tmp_path, name, alias, apps=(APP,))
    assert f"({warned})" in said
    assert "1 issue" in said


@pytest.mark.parametrize("name", ["db", "signed_cookies"])
def test_nothing_is_said_where_all_is_well(name: str, tmp_path: Path) -> None:
    assert "no issues" in checked(tmp_path, f"{APP}.{name}", apps=(APP,))


def test_a_cache_that_is_not_there_breaks_no_check(tmp_path: Path) -> None:
    assert "no issues" in checked(tmp_path, alias="nowhere", apps=(APP,))
