"""Django's test runner, with our stores in the place of Django's."""

from importlib import import_module
from typing import Any
from unittest import TestSuite

from django.test.runner import DiscoverRunner

from cookieproj.engines.middleware import SessionMiddleware

ENGINES = ("db", "cache", "file", "cached_db", "signed_cookies")


class Runner(DiscoverRunner):
    def build_suite(self, *args: Any, **kwargs: Any) -> TestSuite:
        ours = {name: import_module(f"cookieproj.engines.{name}") for name in ENGINES}
        for name, engine in ours.items():
            djangos: Any = import_module(f"django.contrib.sessions.backends.{name}")
            djangos.SessionStore = engine.SessionStore
        models: Any = import_module("sessions_tests.models")
        models.SessionStore.__bases__ = (ours["db"].SessionStore,)
        suite = super().build_suite(*args, **kwargs)
        # It must not matter to them whose middleware it is.
        import_module("sessions_tests.tests").SessionMiddleware = SessionMiddleware  # type: ignore[attr-defined]
        # Django expects its signed cookies to ignore set_expiry; ours do not.
        mended: Any = import_module("sessions_tests.tests").CookieSessionTests
        for name in ("test_actual_expiry", "test_actual_expiry_async"):
            vars(mended)[name].__unittest_expecting_failure__ = False
        return suite
