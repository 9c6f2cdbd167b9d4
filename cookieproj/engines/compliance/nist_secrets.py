"""NIST SP 800-63B-4, section 5.1: session secrets.

NIST numbers the entries of two lists, and nothing else below a section. So the id of a requirement
is its section with the number in the list, or with a word.
"""

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.admission import TAKES_PROOFS
from cookieproj.engines.validation import AUTH_MIDDLEWARE, uses_middleware

from . import asvs_v7, asvs_v7_ending, site
from .cookies import CSRF_MIDDLEWARE, session_cookie
from .requirement import SHALL, SHOULD, Finding, met, not_applicable, not_visible, to_set


@SHALL(
    "5.1-secret",
    gettext_lazy("A session rests on a secret that the server issued at the sign-in."),
    "tests/attacks/test_fixation.py::test_sign_in_replaces_invented_key",
)
def secret_of_server() -> Finding:
    if not site.has_users():
        return to_set(site.with_middleware(AUTH_MIDDLEWARE))
    return asvs_v7.verified_by_server()


@SHOULD(
    "5.1-persistent",
    gettext_lazy("The secret does not outlive the browser that has it."),
    "tests/demo/test_four_questions.py::test_closing_the_browser",
)
def not_persistent() -> Finding:
    if not settings.SESSION_EXPIRE_AT_BROWSER_CLOSE:
        return to_set("SESSION_EXPIRE_AT_BROWSER_CLOSE = True")
    return met(_("The session cookie has no age, so it goes when the browser is closed."))


@SHALL(
    "5.1-remembered",
    gettext_lazy("A cookie that remembers a browser does not take the place of a sign-in."),
    "tests/engines/test_compliance_nist.py::test_verdict_by_settings",
)
def not_remembered() -> Finding:
    return not_visible(_("Look whether a cookie of the site's own signs users in."))


@SHALL(
    "5.1-level",
    gettext_lazy("A session never counts for a higher level than its sign-in."),
    "tests/engines/test_compliance_apps.py::test_verdicts_by_apps",
)
def not_above_sign_in() -> Finding:
    if used := site.installed(site.FACTOR_APPS):
        text = _(
            "Look whether %(apps)s ask for the second factor before a session counts for more."
        )
        return not_visible(text % {"apps": ", ".join(used)})
    return not_applicable(_("No app with a second factor is installed: there is one level."))


@SHALL(
    "5.1-1",
    gettext_lazy("The secret is made at the sign-in, or just after."),
    "tests/attacks/test_fixation.py::test_sign_in_replaces_key_of_existing_session",
)
def made_at_sign_in() -> Finding:
    if not site.has_users():
        return secret_of_server()
    return met(_("A sign-in gives the session a new key, or a new cookie."))


@SHALL(
    "5.1-2",
    gettext_lazy("The secret comes from an approved random generator, and has 64 bits or more."),
    "tests/engines/test_keys.py::test_random_key_has_length_and_alphabet_of_django",
)
def approved_generator() -> Finding:
    return not_visible(
        _(
            "Keys have 165 bits of the operating system's generator, as os.urandom gives them, and "
            "cookies are signed with SECRET_KEY. Look whether that system's generator is approved."
        )
    )


SHALL(
    "5.1-3",
    gettext_lazy("A sign-out erases or voids the secret."),
    "tests/attacks/test_replay.py::test_copy_is_invalid_after_sign_out",
    "tests/test_production.py::test_sign_out_deletes_cookies",
)(asvs_v7_ending.ended_for_good)


@SHALL(
    "5.1-4",
    gettext_lazy("The secret travels over https alone."),
    "tests/test_production.py::test_cookies_have_the_host_prefix",
)
def sent_over_https() -> Finding:
    cookie = session_cookie()
    if not cookie.setting("SECURE"):
        return to_set(cookie.to_set("SECURE", True))
    return met(
        _("%(cookie)s is Secure: browsers send it over https alone.") % {"cookie": cookie.name}
    )


@SHALL(
    "5.1-5",
    gettext_lazy("The server accepts no secret after its time."),
    "tests/failures/test_clock.py::test_sessions_end_on_time",
    "tests/engines/test_timeouts.py::test_absolute_timeout_ends_session_whatever_is_done",
)
def refused_after_its_time() -> Finding:
    if site.absolute_age() is None:
        return to_set(*site.missing_for_timeouts(), "SESSION_ABSOLUTE_AGE")
    return met(_("The server refuses a session after its timeouts, whatever the browser sends."))


@SHALL(
    "5.1-6",
    gettext_lazy("Nobody between the browser and the server learns the secret."),
    "tests/test_production.py::test_logs_are_json_and_contain_no_cookie",
)
def hidden_from_intermediaries() -> Finding:
    if not session_cookie().setting("SECURE"):
        return sent_over_https()
    return not_visible(_("Look who ends https in front of this site: they see the cookie."))


@SHOULD(
    "5.1-erased",
    gettext_lazy("The browser erases the secret at the sign-out, and when its time is over."),
    "tests/test_production.py::test_sign_out_deletes_cookies",
)
def erased_in_browser() -> Finding:
    if not site.has_session_middleware():
        return asvs_v7.verified_by_server()
    return met(_("A sign-out deletes the cookie, and it ends with its age or the browser."))


@SHOULD(
    "5.1-storage",
    gettext_lazy("The secret is not kept where scripts can read it, such as local storage."),
    "tests/demo/test_admin.py::test_no_page_shows_own_session_cookie",
)
def unreadable_by_scripts() -> Finding:
    cookie = session_cookie()
    if not cookie.setting("HTTPONLY"):
        return to_set(cookie.to_set("HTTPONLY", True))
    return met(
        _("%(cookie)s is HttpOnly: scripts cannot read or copy it.") % {"cookie": cookie.name}
    )


@SHALL(
    "5.1-fallback",
    gettext_lazy("After the sign-in nothing falls back to http."),
    "tests/test_production.py::test_http_is_redirected_to_https_except_for_health_checks",
    "tests/attacks/test_redirects.py::test_no_redirect_from_https_to_http",
)
def no_fallback_to_http() -> Finding:
    remedy = []
    if not session_cookie().setting("SECURE"):
        remedy.append("SESSION_COOKIE_SECURE = True")
    if not settings.SECURE_SSL_REDIRECT:
        remedy.append("SECURE_SSL_REDIRECT = True")
    if remedy:
        return to_set(*remedy)
    return met(_("http is redirected to https, and the session cookie is not sent over http."))


@SHALL(
    "5.1-csrf",
    gettext_lazy("Each POST carries a value of its session, which the server checks."),
    "tests/attacks/test_csrf.py::test_forged_form_is_refused_everywhere",
)
def forged_requests_refused() -> Finding:
    if not uses_middleware(CSRF_MIDDLEWARE):
        return to_set(site.with_middleware(CSRF_MIDDLEWARE))
    exempt = [
        route
        for route, view in site.views()
        if getattr(view, "csrf_exempt", False) and not hasattr(view, TAKES_PROOFS)
    ]
    if exempt:
        text = _("Look whether these change anything, as they are exempt from the check: %(urls)s")
        return not_visible(text % {"urls": ", ".join(exempt)})
    return met(_("CsrfViewMiddleware checks each POST, and no view is exempt."))


SHOULD(
    "5.1-sign-out",
    gettext_lazy("Signing out is easy to find."),
    "tests/devices/test_session_views.py::test_button_is_on_every_page_of_a_signed_in_user",
)(asvs_v7_ending.sign_out_on_each_page)
