"""The settings that a public site adds. base.py imports them when DEBUG is off."""

from pythonjsonlogger.core import RESERVED_ATTRS

from .environment import is_on, whole_number

SECURE_SSL_REDIRECT = True

# Seconds for which a browser that has been here uses only https for this host. An hour is over
# soon if https ever fails. The operator decides about a longer time, about subdomains, which this
# site does not serve, and about preload, which cannot be taken back for months.
SECURE_HSTS_SECONDS = whole_number("SECURE_HSTS_SECONDS", default=60 * 60)
SECURE_HSTS_INCLUDE_SUBDOMAINS = is_on("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = is_on("SECURE_HSTS_PRELOAD", default=False)
# They warn that the two settings above are off, which is right until the operator decides.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# Browsers accept a cookie with this prefix only from this host itself, over https, for all paths.
SESSION_COOKIE_NAME = "__Host-sessionid"
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "__Host-csrftoken"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_NAME = "__Host-language"
LANGUAGE_COOKIE_SECURE = True
# Not in a cookie of their own, whose name would have no prefix.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# A line of JSON for each record, on standard error. No mail is sent: it would contain cookies.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"secrets": {"()": "cookieproj.logs.HideSecrets"}},
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": ["asctime", "levelname", "name", "message"],
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
            "reserved_attrs": [*RESERVED_ATTRS, "request"],
            "json_ensure_ascii": False,
        }
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["secrets"]}
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"django": {"handlers": [], "level": "INFO", "propagate": True}},
}
