"""Django's test runner, with our session engines in place of Django's."""

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
        tests: Any = import_module("sessions_tests.tests")
        tests.SessionMiddleware = SessionMiddleware
        # Django expects these to fail, since its signed cookies ignore set_expiry. Ours do not.
        for name in ("test_actual_expiry", "test_actual_expiry_async"):
            vars(tests.CookieSessionTests)[name].__unittest_expecting_failure__ = False
        return suite
