#!/usr/bin/env python
"""Django's command line, on the profile that SESSION_PROFILE names."""

import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from cookieproj.profiles import use_profile


def main() -> None:
    try:
        use_profile()
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"manage.py: {error}")


if __name__ == "__main__":
    main()
