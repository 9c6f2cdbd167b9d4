"""What all profiles share, and the only reader of the environment."""

from pathlib import Path

import django
import environ
from django.core.exceptions import ImproperlyConfigured

from .caches import UNREADABLE, caches, former_cache, split

BASE_DIR = Path(__file__).resolve().parent.parent.parent

env = environ.Env()

DEVELOPMENT_KEY = "development-only-this-key-is-public-and-refused-when-debug-is-off"


def is_on(variable: str, *, default: bool) -> bool:
    """Whether the environment says so; neither word is taken for the other."""
    said: str = env.str(variable, default=str(default))
    word = said.strip().lower()
    if word not in (*env.BOOLEAN_TRUE_STRINGS, "false", "off", "n", "no", "0"):
        raise ImproperlyConfigured(f"{variable}={said!r} is neither on nor off.")
    return word in env.BOOLEAN_TRUE_STRINGS


DEBUG = is_on("DEBUG", default=True)
SECRET_KEY = env.str("SECRET_KEY", default=DEVELOPMENT_KEY)
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is empty. Set it to a long random text that only this site knows."
    )
# Keys of before: what they signed stays valid, and nothing more is signed with them.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])

INSTALLED_APPS = [
    # Before Django's own: the first app with a command of a name, or a template, wins.
    "demo",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "demo.health.AnswerHealth",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "demo.wire.ShowTheWire",
    "demo.middleware.KeepPrivate",
    "demo.middleware.ForgetCookiesWithNul",
    "cookieproj.engines.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "demo.middleware.RefuseUnreadableForms",
    "django.middleware.csrf.CsrfViewMiddleware",
    "demo.middleware.AuthenticationMiddleware",
    "demo.middleware.FollowSignedInSessions",
    "demo.health.SayTheDatabaseIsAway",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "cookieproj.urls"
WSGI_APPLICATION = "cookieproj.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "demo.state.state",
            ],
        },
    },
]

# A server that is silent is away, and keeps no worker waiting: seconds to be connected, and
# milliseconds until a connection is given up over which nothing arrives any more.
TIMEOUTS = {
    "django.db.backends.postgresql": {"connect_timeout": 2, "tcp_user_timeout": 5000},
    "django.db.backends.mysql": {"connect_timeout": 2},
}
DATABASE_URL = env.str("DATABASE_URL", default=f"sqlite:///{BASE_DIR}/db.sqlite3")
scheme = DATABASE_URL.partition("://")[0].lower()
if "://" not in DATABASE_URL or scheme not in env.DB_SCHEMES:
    raise ImproperlyConfigured(
        "DATABASE_URL names no database: sqlite:///path, postgres://user:password@host/name "
        "or mysql://user:password@host/name."
    )
try:
    # Whose path may hold anything.
    if scheme != "sqlite":
        split(DATABASE_URL)
    DATABASES = {"default": env.db_url_config(DATABASE_URL)}
except ValueError:
    raise ImproperlyConfigured(f"DATABASE_URL: {UNREADABLE}.") from None
database = DATABASES["default"]
if database["ENGINE"] == "django.db.backends.sqlite3":
    database["OPTIONS"] = {
        # Readers go on while one writes, and a transaction that will write takes its
        # turn at its start: begun as a reader it could only fail with "database is locked".
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    }
else:
    database |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    database["OPTIONS"] = TIMEOUTS.get(database["ENGINE"], {}) | database.get("OPTIONS", {})
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = caches(env.str("CACHE_URL", default="locmem://"))
SESSION_CACHE_ALIAS = "sessions"


def session_engine(name: str) -> str:
    """Ours of that name, unless the environment names another, Django's or anybody's."""
    engine: str = env.str("SESSION_ENGINE", default=f"cookieproj.engines.{name}")
    return engine


# The engine that ran before this one: its sessions are moved here as they are used.
SESSION_HANDOVER_FROM = env.str("SESSION_HANDOVER_FROM", default="")
# Where it kept them, if that was not the cache of CACHE_URL.
if handover_cache := env.str("SESSION_HANDOVER_CACHE", default=""):
    CACHES |= {"handover": former_cache(handover_cache)}
    SESSION_HANDOVER_CACHE_ALIAS = "handover"


session_folder = env.str("SESSION_FILE_PATH", default=str(BASE_DIR / "sessions"))
if not session_folder:
    # Path("") is the working directory.
    raise ImproperlyConfigured("SESSION_FILE_PATH is empty. Name a folder, or unset it.")
SESSION_FILE_PATH = Path(session_folder)

# Of a session that its cookie cannot hold; as DEBUG, unless it is said here.
if env.str("SESSION_COOKIE_TOO_LARGE_IS_ERROR", default=""):
    SESSION_COOKIE_TOO_LARGE_IS_ERROR = is_on("SESSION_COOKIE_TOO_LARGE_IS_ERROR", default=DEBUG)


def make_private(folder: Path) -> None:
    """Make the folder, for this user alone, if it is not there yet."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"SESSION_FILE_PATH cannot be a folder: {error}") from error


# Scripts, styles and forms of this site alone, and none that stands in a page itself.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

if django.VERSION < (6, 0):
    # 5.2 still accepts the ambiguous salt of earlier releases, 6.1 does not; nobody here needs it.
    SIGNED_COOKIE_LEGACY_SALT_FALLBACK = False

AUTH_USER_MODEL = "demo.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "demo:auth/sign-in"
LOGIN_REDIRECT_URL = "demo:auth/account"
LOGOUT_REDIRECT_URL = "demo:auth/account"

# For commands, and for browsers that ask for none of LANGUAGES.
LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="en")
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "cookieproj" / "locale"]
# A year: whoever chooses a language need not do so again.
LANGUAGE_COOKIE_AGE = 365 * 24 * 60 * 60
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "static/"
# Static files are few: served from where they stand, so that a deployment has no step for them.
WHITENOISE_USE_FINDERS = True

# A session key in the address: only where somebody asked for it (see the recipe).
DEMO_SESSION_IN_PATH = is_on("DEMO_SESSION_IN_PATH", default=DEBUG)

# Reverse proxies before this site, each of which appends to X-Forwarded-For.
proxies = env.str("DEMO_PROXIES", default="0")
if not proxies.isdecimal():
    raise ImproperlyConfigured(
        f"DEMO_PROXIES={proxies!r} is no number of reverse proxies; 0 is the least."
    )
DEMO_PROXIES = int(proxies)

# Where manage.py benchsessions keeps what it has measured, for the page that shows it.
DEMO_BENCHMARK = Path(env.str("DEMO_BENCHMARK", default=str(BASE_DIR / "benchmark.json")))

if not DEBUG:
    if DEVELOPMENT_KEY in (SECRET_KEY, *SECRET_KEY_FALLBACKS):
        raise ImproperlyConfigured(
            "DEBUG is off and SECRET_KEY, or one of SECRET_KEY_FALLBACKS, is the public one of "
            "development. Set SECRET_KEY to a long random text that only this site knows."
        )
    if not ALLOWED_HOSTS:
        raise ImproperlyConfigured(
            "DEBUG is off and ALLOWED_HOSTS is empty. "
            "Set it to this site's host names, separated by commas."
        )
    from .production import *
