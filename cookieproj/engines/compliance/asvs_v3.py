"""OWASP ASVS 5.0, section V3.3: how cookies are set. Judged are those that Django sets."""

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.cookie_sessions import CookieSession
from cookieproj.engines.engine_registry import current_engine

from . import site
from .cookies import SiteCookie, cookies, session_cookie
from .requirement import L1, L2, L3, Finding, met, to_set

# The prefixes that a browser accepts from this very host only.
OF_THIS_HOST = ("__Host-", "__Host-Http-")


def named(which: list[SiteCookie]) -> str:
    return ", ".join(cookie.name for cookie in which)


def unique(assignments: list[str]) -> list[str]:
    return list(dict.fromkeys(assignments))


@L1(
    "3.3.1",
    gettext_lazy("Cookies are Secure, and their names begin with __Host- or __Secure-."),
    "tests/test_production.py::test_cookies_have_the_host_prefix",
    "tests/browser/test_production.py::test_browser_accepts_cookies",
)
def secure_and_prefixed() -> Finding:
    insecure = [
        cookie.to_set("SECURE", True) for cookie in cookies() if not cookie.setting("SECURE")
    ]
    unnamed = [cookie.to_rename() for cookie in cookies() if not cookie.prefix]
    if insecure or unnamed:
        return to_set(*unique(insecure + unnamed))
    return met(_("Secure and with a prefix: %(cookies)s") % {"cookies": named(cookies())})


@L2(
    "3.3.2",
    gettext_lazy("Each cookie has the SameSite that its purpose allows, against forged requests."),
    "tests/attacks/test_csrf.py::test_forged_form_is_refused_everywhere",
)
def same_site() -> Finding:
    open_ones = [cookie for cookie in cookies() if not is_same_site(cookie)]
    if open_ones:
        return to_set(*unique([cookie.to_set("SAMESITE", "Lax") for cookie in open_ones]))
    return met(_("SameSite is Lax or Strict: %(cookies)s") % {"cookies": named(cookies())})


def is_same_site(cookie: SiteCookie) -> bool:
    return str(cookie.setting("SAMESITE")).lower() in {"lax", "strict"}


@L2(
    "3.3.3",
    gettext_lazy("The names of cookies begin with __Host-, unless other hosts share them."),
    "tests/test_production.py::test_cookies_have_the_host_prefix",
)
def host_prefix() -> Finding:
    own = [cookie for cookie in cookies() if not cookie.is_shared]
    unnamed = [cookie.to_rename() for cookie in own if cookie.prefix not in OF_THIS_HOST]
    if unnamed:
        return to_set(*unnamed)
    return met(_("Of this host alone: %(cookies)s") % {"cookies": named(own)})


@L2(
    "3.3.4",
    gettext_lazy(
        "Scripts cannot read the session cookie, and nothing else brings it to a browser."
    ),
    "tests/demo/test_admin.py::test_no_page_shows_own_session_cookie",
    "tests/attacks/test_fixation.py::test_key_outside_cookie_is_ignored",
)
def http_only() -> Finding:
    cookie = session_cookie()
    if not cookie.setting("HTTPONLY"):
        return to_set(cookie.to_set("HTTPONLY", True))
    return met(_("HttpOnly, and written nowhere else: %(cookies)s") % {"cookies": cookie.name})


@L3(
    "3.3.5",
    gettext_lazy("No cookie is longer than the 4096 bytes that browsers keep."),
    "tests/engines/test_cookie_sessions.py::"
    "test_too_large_session_gets_the_500_page_and_keeps_the_previous_one",
)
def short_enough() -> Finding:
    if not current_engine().is_held_by_browser:
        return met(_("The session cookie has the session key alone."))
    remedy = []
    if not issubclass(site.session_class(), CookieSession):
        remedy.append(f'SESSION_ENGINE = "{site.our_counterpart()}"')
    if not getattr(settings, "SESSION_COOKIE_TOO_LARGE_IS_ERROR", settings.DEBUG):
        remedy.append("SESSION_COOKIE_TOO_LARGE_IS_ERROR = True")
    if remedy:
        return to_set(*remedy)
    return met(_("A session that is too long for its cookie is an error, and is not sent."))
