"""Read by gunicorn where it is started: its own lines are lines of the site's log.

They go to standard error as those do, whatever --error-logfile says.
"""

from cookieproj.settings.production import LOGGING

logconfig_dict = LOGGING | {
    "loggers": {
        "gunicorn.error": {"propagate": True},
        # No line for each access, whatever --access-logfile says: an address may hold a key.
        "gunicorn.access": {"propagate": False},
        # It warns only that Django answers HEAD as GET, and leaves the body to the server.
        "gunicorn.http.wsgi": {"level": "ERROR"},
    }
}
