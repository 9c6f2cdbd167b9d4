"""Read by gunicorn where it is started: its own lines are lines of the site's log."""

from cookieproj.settings.production import LOGGING

logconfig_dict = LOGGING | {
    "loggers": {
        "gunicorn.error": {"level": "INFO", "propagate": True},
        # None, if --access-logfile does not name a file.
        "gunicorn.access": {"level": "INFO", "propagate": False},
    }
}
