"""NIST SP 800-63B-4, sections 5.1.1 and 5.1.2: browser cookies, and access tokens."""

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.constants import ENCRYPTED_COOKIES, OUR_ENGINES
from cookieproj.engines.engine_registry import current_engine

from . import site
from .asvs_v3 import OF_THIS_HOST, is_same_site
from .cookies import session_cookie
from .nist_secrets import sent_over_https, unreadable_by_scripts
from .requirement import SHALL, SHOULD, Finding, met, not_applicable, not_visible, to_set

SHALL(
    "5.1.1-1",
    gettext_lazy("The session cookie is for https alone."),
    "tests/test_production.py::test_cookies_have_the_host_prefix",
)(sent_over_https)


@SHALL(
    "5.1.1-2",
    gettext_lazy("The session cookie is for as few hosts and paths as possible."),
    "tests/test_production.py::test_cookies_have_the_host_prefix",
)
def narrow_scope() -> Finding:
    if domain := session_cookie().setting("DOMAIN"):
        text = _("Look whether each host below %(domain)s needs the session cookie.")
        return not_visible(text % {"domain": domain})
    return met(_("The session cookie is for this host alone: SESSION_COOKIE_DOMAIN is not set."))


SHOULD(
    "5.1.1-3",
    gettext_lazy("The session cookie is hidden from scripts."),
    "tests/browser/test_production.py::test_browser_accepts_cookies",
)(unreadable_by_scripts)


@SHOULD(
    "5.1.1-4",
    gettext_lazy("The session cookie ends when its session does, or soon after."),
    "tests/engines/test_timeouts.py::test_whoever_has_left_is_signed_out",
    "tests/failures/test_clock.py::test_sessions_end_on_time",
)
def cookie_ends_with_session() -> Finding:
    if settings.SESSION_EXPIRE_AT_BROWSER_CLOSE:
        return met(_("The cookie ends with the browser, and the server relies on its own clock."))
    return met(_("The cookie has the age of its session, and the server relies on its own clock."))


@SHOULD(
    "5.1.1-5",
    gettext_lazy("The name of the session cookie begins with __Host-, and its path is /."),
    "tests/test_production.py::test_cookies_have_the_host_prefix",
)
def host_name_and_root() -> Finding:
    cookie = session_cookie()
    remedy = []
    if cookie.prefix not in OF_THIS_HOST:
        if cookie.is_shared:
            remedy.append("SESSION_COOKIE_DOMAIN = None")
        name = cookie.name.removeprefix("__Secure-")
        remedy.append(f'SESSION_COOKIE_NAME = "__Host-{name}"')
    if cookie.setting("PATH") != "/":
        remedy.append('SESSION_COOKIE_PATH = "/"')
    if remedy:
        return to_set(*remedy)
    return met(_("It is %(cookie)s, for the path /.") % {"cookie": cookie.name})


@SHOULD(
    "5.1.1-6",
    gettext_lazy("The session cookie is SameSite=Lax or Strict."),
    "tests/attacks/test_csrf.py::test_forged_form_is_refused_everywhere",
)
def session_cookie_same_site() -> Finding:
    cookie = session_cookie()
    if not is_same_site(cookie):
        return to_set(cookie.to_set("SAMESITE", "Lax"))
    return met(_("SameSite is %(value)s.") % {"value": cookie.setting("SAMESITE")})


@SHALL(
    "5.1.1-7",
    gettext_lazy("The session cookie shows nothing personal; at best it is only an identifier."),
    "tests/engines/test_keys.py::test_session_keys_are_random_and_differ",
    "tests/engines/test_encrypted_cookies.py::test_cookie_does_not_show_the_data",
)
def opaque_cookie() -> Finding:
    if not current_engine().is_held_by_browser:
        return met(_("The cookie has a random session key alone."))
    encrypted = f"{OUR_ENGINES}{ENCRYPTED_COOKIES}"
    if any(each.__module__ == encrypted for each in site.session_class().__mro__):
        return met(_("The cookie is encrypted: nobody else can read the session in it."))
    return to_set(f'SESSION_ENGINE = "{encrypted}"')


@SHALL(
    "5.1.2-tokens",
    gettext_lazy("A token of an API is no sign that its user is there."),
    "tests/engines/test_compliance_apps.py::test_verdicts_by_apps",
)
def tokens_are_no_presence() -> Finding:
    if used := site.installed((*site.TOKEN_APPS, *site.FEDERATION_APPS)):
        text = _("Look whether a token of %(apps)s alone signs somebody in.")
        return not_visible(text % {"apps": ", ".join(used)})
    return not_applicable(_("No app with tokens is installed."))
