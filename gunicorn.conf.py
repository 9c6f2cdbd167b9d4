"""Read by gunicorn where it is started: its own lines are lines of the site's log."""

from cookieproj.settings.production import LOGGING

logconfig_dict = LOGGING | {
    "loggers": {
        "gunicorn.error": {"propagate": True},
        # None, if --access-logfile does not name a file.
        "gunicorn.access": {"propagate": False},
    }
}
