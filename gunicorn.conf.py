"""Configuration of gunicorn: its log lines have the format of the site's log.

Gunicorn reads this file from the folder in which it is started. Its lines go to standard error
like the site's, whatever --error-logfile says.
"""

from cookieproj.settings.production import LOGGING

logconfig_dict = LOGGING | {
    "loggers": {
        "gunicorn.error": {"propagate": True},
        # No access log, whatever --access-logfile says: a URL may contain a session key.
        "gunicorn.access": {"propagate": False},
        # Its only warning is that Django answers HEAD with a body, which the server drops.
        "gunicorn.http.wsgi": {"level": "ERROR"},
    }
}
