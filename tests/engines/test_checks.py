"""System checks in a site that has the engines and nothing else of this project."""

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

# An engine of the site's own, in the module of its models as in Django's documentation.
SHOP = """
from cookieproj.engines.cache import SessionStore as CacheStore

class SessionStore(CacheStore):
    cache_key_prefix = "shop."
"""

# django-admin, with a folder to import from as its first argument.
ADMIN = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from django.core.management import execute_from_command_line
execute_from_command_line()
"""

APP = "cookieproj.engines"


def check_output(
    folder: Path, engine: str = f"{APP}.cache", alias: str = "default", apps: tuple[str, ...] = ()
) -> str:
    """Return the output of ``check`` in such a site."""
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


def test_check_warns_of_a_cache_without_compare_and_swap(tmp_path: Path) -> None:
    output = check_output(tmp_path, apps=(APP,))
    assert "(engines.W002) The cache of the sessions" in output
    assert "FileBasedCache" in output
    assert "1 issue" in output


def test_subclass_of_an_engine_is_checked_if_the_app_is_not_installed(tmp_path: Path) -> None:
    output = check_output(tmp_path, engine="shop.models", apps=("shop",))
    assert "(engines.W002)" in output


@pytest.mark.parametrize(
    ("path", "alias", "check_id"),
    [
        (f"{APP}.cache", "memory", "engines.W001"),
        (f"{APP}.cached_db", "memory", "engines.W001"),
        (f"{APP}.file", "default", "engines.W004"),
        ("shop.stores", "default", "engines.E001"),
    ],
)
def test_check_reports_an_unsuitable_store(
    path: str, alias: str, check_id: str, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    output = check_output(tmp_path, path, alias, apps=(APP,))
    assert f"({check_id})" in output
    assert "1 issue" in output


@pytest.mark.parametrize("name", ["db", "signed_cookies"])
def test_check_reports_nothing_for_a_suitable_store(name: str, tmp_path: Path) -> None:
    assert "no issues" in check_output(tmp_path, f"{APP}.{name}", apps=(APP,))


def test_unknown_cache_alias_is_reported(tmp_path: Path) -> None:
    output = check_output(tmp_path, alias="nowhere", apps=(APP,))
    assert "engines.E006" in output
    assert "The connection 'nowhere' doesn't exist." in output
