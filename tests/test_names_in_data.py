"""Names in stored data keep their values, and each is defined in one place.

Two other files, ``test_data_of_old_versions.py``, show that they are also used in the same way.
"""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.views import INTERNAL_RESET_SESSION_TOKEN
from django.contrib.sessions.backends import cache, cached_db
from django.middleware.csrf import CSRF_SESSION_KEY

from cookieproj.devices import constants as devices
from cookieproj.engines import constants as engines
from demo import constants as demo

ROOT = Path(__file__).parents[1]

ENGINES = {
    "DJANGO_ENGINE_NAMES": ("db", "cache", "file", "cached_db", "signed_cookies"),
    "ENGINE_NAMES": (
        *("db", "cache", "file", "cached_db", "signed_cookies"),
        *("encrypted_cookies", "mongodb"),
    ),
    "DB": "db",
    "CACHE": "cache",
    "FILE": "file",
    "CACHED_DB": "cached_db",
    "SIGNED_COOKIES": "signed_cookies",
    "ENCRYPTED_COOKIES": "encrypted_cookies",
    "MONGODB": "mongodb",
    "MONGODB_COLLECTION": "django_session",
    "OUR_ENGINES": "cookieproj.engines.",
    "DJANGO_ENGINES": "django.contrib.sessions.backends.",
    "STORE_SALT": "django.contrib.sessions.SessionStore",
    "COOKIE_SALT": "django.contrib.sessions.backends.signed_cookies",
    "ENCRYPTED_COOKIE_PREFIX": "e1.",
    "ENCRYPTED_COOKIE_LABEL": "cookieproj.engines.encrypted_cookies",
    "SESSION_ID_SALT": "cookieproj.engines.signed_ids",
    "HANDOVER_LABEL": "cookieproj.engines.handover",
    "OLD_COPY_LABEL": "cookieproj.engines.handover.copies",
    "EXPIRY_ITEM": "_session_expiry",
    "MESSAGES_ITEM": "_messages",
    "AUTH_TIME": "_session_auth_time",
    "KEY_SINCE": "_session_key_since",
    "RENEWED_FROM": "_session_renewed_from",
    "RENEWED_TO": "_session_renewed_to",
    "RENEWAL_ENDED": "_session_renewal_ended",
    "EXCHANGED_KEY": "_session_former",
    "EXCHANGED_FOR_COOKIE": "_session_exchanged",
    "MADE_WITH": "_session_key_made_with",
    "COPY_MARK": "_session_copy",
    "REMOVED_FROM_SOURCE": {"_session_copy": "removed"},
    "SESSION_TOMBSTONE": {"_session_ended": True},
    "COPIED_TOMBSTONE": {"_session_ended": "copied"},
    "MOVED_TOMBSTONE": "_session_moved",
    "PROBE_ITEM": "_probe",
    "TOMBSTONE_MARK": b"~",
    "LOCK_COUNT": 64,
    "LOCK_NAME": ".{prefix}.lock{number:02}",
    "UNFINISHED_INFIX": "_out_",
    "INSPECTOR_SEAL": "demo.inspector",
    "BENCHMARK_KEY_PREFIX": "benchsessions",
}

DEVICES = {
    "SESSION_HASH_SALT": "demo.User",
    "ROW_ID_LABEL": "demo.index:",
    "REGISTRY_SEAL": "demo.SignedInSession",
    "ROW_ITEM": "_signed_in_session",
    "BINDING_ITEM": "_session_binding",
    "BOUND_COOKIE_SALT": "cookieproj.devices.bound_cookie",
    "CHALLENGE_SALT": "cookieproj.devices.bound_challenge",
    "DEMAND_SALT": "cookieproj.devices.bound_demand",
    "BOUND_COOKIE": "bound_session",
    "DEMANDED_COOKIE": "proof_demanded",
    "PREVIOUS_COOKIE": "previous_bound_session",
    "VISITOR_COOKIE": "visitor_session",
    "DEVICE_COOKIE": "known_device",
    "DEVICE_COOKIE_SALT": "cookieproj.devices.device_cookie",
    "DEVICE_LABEL": "cookieproj.devices.known_device:",
}

DEMO = {
    "LOGIN_COOKIE": "login_auth",
    "SECURE_LOGIN_COOKIE": "__Host-login_auth",
    "LOGIN_SALT": "demo.login_auth",
    "IN_PATH_SALT": "demo.session-in-path",
    "ORDER_SALT": "demo.order",
    "RECEIPT_SALT": "demo.receipt",
    "DEMODATA_LABEL": "demo.demodata",
}

# Names in data that are defined by Django.
DJANGOS = {
    "django.contrib.sessions.cache": cache.KEY_PREFIX,
    "django.contrib.sessions.cached_db": cached_db.KEY_PREFIX,
    "_auth_user_id": SESSION_KEY,
    "_auth_user_backend": BACKEND_SESSION_KEY,
    "_auth_user_hash": HASH_SESSION_KEY,
    "_password_reset_token": INTERNAL_RESET_SESSION_TOKEN,
    "_csrftoken": CSRF_SESSION_KEY,
}


@pytest.mark.parametrize(
    ("module", "pinned"), [(engines, ENGINES), (devices, DEVICES), (demo, DEMO)]
)
def test_each_constant_has_its_pinned_value(module: ModuleType, pinned: dict[str, Any]) -> None:
    assert {name: value for name, value in vars(module).items() if name.isupper()} == pinned


def test_constants_of_django_have_their_values() -> None:
    assert list(DJANGOS) == list(DJANGOS.values())


@pytest.mark.parametrize("name", engines.DJANGO_ENGINE_NAMES)
def test_sessions_are_signed_with_djangos_salt(name: str, empty_stores: None) -> None:
    for family in (engines.OUR_ENGINES, engines.DJANGO_ENGINES):
        store = import_module(f"{family}{name}").SessionStore
        assert store().key_salt == "django.contrib.sessions.SessionStore"


# These texts also occur with other meanings.
COMMON = {"db", "cache", "file"}


def texts() -> Iterator[str | bytes]:
    """The texts that may not occur as another literal."""
    for value in [*ENGINES.values(), *DEVICES.values(), *DEMO.values()]:
        match value:
            case dict():
                yield from value
            case str() | bytes() if value not in COMMON:
                yield value


def literals(path: Path) -> Iterator[str | bytes]:
    """The literals of a module, without its docstrings."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            match node.value:
                case str(text):
                    # A literal may have a separator before the value of a variable.
                    yield from {text, text.rstrip(" :")}
                case bytes(literal):
                    yield literal


def modules() -> Iterator[Path]:
    """The modules that have to use the constants.

    Settings import no app, and migrations do not change.
    """
    for package in ("cookieproj", "demo"):
        for path in (ROOT / package).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            excluded = ("cookieproj/settings/", "cookieproj/profiles.py", "demo/migrations/")
            if not name.startswith(excluded) and path.name != "constants.py":
                yield path


def test_no_other_module_repeats_a_constant() -> None:
    pinned = set(texts())
    repeated = {path.relative_to(ROOT).as_posix(): pinned & {*literals(path)} for path in modules()}
    assert {path: values for path, values in repeated.items() if values} == {}
