#!/usr/bin/env python
"""Django's command line, with the profile that SESSION_PROFILE names."""

import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError
from redis import RedisError

from cookieproj.engines.exceptions import SessionStoreError
from cookieproj.profiles import use_profile

# Errors of the environment, not of the program: a setting, or a store that does not answer.
ENVIRONMENT_ERRORS = (
    ImproperlyConfigured,
    OperationalError,
    RedisError,
    OSError,
    SessionStoreError,
)


def reason_of(error: Exception) -> str:
    """Return the error's text in one line; for one of the database, with the variable's name."""
    text = str(error)
    if isinstance(error, OperationalError):
        # The drivers of MariaDB put a number before the text.
        text = f"DATABASE_URL: {error.args[-1] if error.args else error}"
    return " ".join(text.split())


def main() -> None:
    try:
        use_profile()
        execute_from_command_line(sys.argv)
    except ENVIRONMENT_ERRORS as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"manage.py: {reason_of(error)} (--traceback shows where)")


if __name__ == "__main__":
    main()
