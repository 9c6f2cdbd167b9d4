"""OWASP ASVS 5.0, chapter V7, sections 1 to 3: what is written down, tokens, and timeouts."""

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.engine_registry import current_engine
from cookieproj.engines.subclass_hooks import overrides
from cookieproj.engines.timeout_checks import OUR_MIDDLEWARE

from . import site
from .requirement import L1, L2, Finding, met, not_applicable, not_met, not_visible, to_set

# What is set where a requirement is not met: the figures of NIST SP 800-63B-4 for AAL2, and ours.
IDLE, ABSOLUTE = "SESSION_IDLE_AGE = 3600", "SESSION_ABSOLUTE_AGE = 86400"
LIMIT = "DEVICES_LIMIT = 10"

NIST_IDLE, NIST_ABSOLUTE = 60 * 60, 24 * 60 * 60


def devices_missing() -> str:
    return _("Install the app cookieproj.devices, as docs/own-site.md says.")


def missing_timeouts() -> list[str]:
    """Return the settings without which there are not both timeouts."""
    idle, absolute = site.idle_age(), site.absolute_age()
    missing = [IDLE] * (idle is None) + [ABSOLUTE] * (absolute is None)
    return [*site.missing_for_timeouts(), *missing] if missing else []


@L2(
    "7.1.1",
    gettext_lazy(
        "How long a session may be idle, and may last in all, is written down with reasons."
    ),
    "tests/engines/test_compliance_asvs.py::test_verdict_by_settings",
)
def documented_timeouts() -> Finding:
    if missing := missing_timeouts():
        return to_set(*missing)
    idle, absolute = site.idle_age() or 0, site.absolute_age() or 0
    values = {"idle": idle, "absolute": absolute}
    if idle <= NIST_IDLE and absolute <= NIST_ABSOLUTE:
        text = _(
            "The settings say it: %(idle)d seconds idle and %(absolute)d in all, which is within "
            "what NIST SP 800-63B-4 gives for AAL2. `checksessions --markdown` writes it down."
        )
        return met(text % values)
    text = _(
        "Write down why %(idle)d seconds idle and %(absolute)d in all are right for this site: "
        "NIST SP 800-63B-4 gives an hour and a day for AAL2."
    )
    return not_visible(text % values)


@L2(
    "7.1.2",
    gettext_lazy(
        "How many sessions a user may have at once, and what happens at one more, is written down."
    ),
    "tests/engines/test_compliance_asvs.py::test_verdict_by_settings",
    "tests/devices/test_device_limit.py::test_session_not_used_for_longest_ends",
    "tests/devices/test_device_limit.py::test_refused_sign_in_signs_nobody_in",
)
def documented_limit() -> Finding:
    if not site.has_devices():
        return not_met(devices_missing())
    limit = getattr(settings, "DEVICES_LIMIT", None)
    limit = import_string(limit) if isinstance(limit, str) else limit
    if not callable(limit) and not (type(limit) is int and limit > 0):
        return to_set(LIMIT)
    limit = getattr(limit, "__qualname__", limit)
    refuses = getattr(settings, "DEVICES_OVER_LIMIT", "end_oldest") == "refuse"
    if refuses or not site.ends_what_browsers_keep():
        text = _("DEVICES_LIMIT = %(limit)s: one more sign-in is refused.")
    else:
        text = _("DEVICES_LIMIT = %(limit)s: one more ends the session not used for longest.")
    return met(text % {"limit": limit})


def judge_federation(where: str) -> Finding:
    """Judge what concerns sites that sign users in for others, or by others."""
    if used := site.federation():
        return not_visible(f"{where} ({', '.join(used)})")
    return not_applicable(_("No app that signs users in by another site is installed."))


@L2(
    "7.1.3",
    gettext_lazy(
        "With single sign-on: how the sessions of all systems end together is written down."
    ),
    "tests/engines/test_compliance_apps.py::test_verdicts_by_apps",
)
def documented_federation() -> Finding:
    return judge_federation(_("Write down which sessions end together, here and at the provider."))


@L1(
    "7.2.1",
    gettext_lazy("Only the server decides whether a session is valid."),
    "tests/attacks/test_forging.py::test_invalid_id_is_refused",
    "tests/attacks/test_tampering.py::test_tampered_cookie_session_is_refused",
)
def verified_by_server() -> Finding:
    if not site.has_session_middleware():
        return to_set(site.with_middleware(OUR_MIDDLEWARE))
    if current_engine().is_held_by_browser:
        return met(_("The server checks the signature and the age of each session cookie."))
    return met(_("The server looks up each session key in its store."))


@L1(
    "7.2.2",
    gettext_lazy("Each session has a token of its own, and none is a fixed key of an API."),
    "tests/engines/test_keys.py::test_session_keys_are_random_and_differ",
    "tests/engines/test_encrypted_cookies.py::test_cookie_does_not_show_the_data",
)
def dynamic_tokens() -> Finding:
    if used := site.installed(site.TOKEN_APPS):
        text = _(
            "Look whether tokens of %(apps)s stand for sessions: they last until they are deleted."
        )
        return not_visible(text % {"apps": ", ".join(used)})
    return met(_("Each session gets its own key, or its own signed cookie, from the engine."))


@L1(
    "7.2.3",
    gettext_lazy("A token that refers to a session is random, with 128 bits or more."),
    "tests/engines/test_keys.py::test_random_key_has_length_and_alphabet_of_django",
)
def random_tokens() -> Finding:
    if current_engine().is_held_by_browser:
        return not_applicable(_("The cookie is the session itself, and refers to none."))
    if overrides(site.session_class(), "_get_new_session_key", "_new_session_key"):
        text = _("Look at _get_new_session_key of %(engine)s, which makes the session keys.")
        return not_visible(text % {"engine": settings.SESSION_ENGINE})
    return met(_("A session key is 32 random characters of 36: 165 bits."))


@L1(
    "7.2.4",
    gettext_lazy(
        "Each sign-in, also a repeated one, gives the session a new token and ends the old one."
    ),
    "tests/attacks/test_fixation.py::test_sign_in_replaces_key_of_existing_session",
    "tests/devices/test_ask_again.py::test_session_gets_a_new_key_and_keeps_its_data",
)
def new_token_at_sign_in() -> Finding:
    if current_engine().is_held_by_browser:
        text = _(
            "Keep sessions on the server, as with SESSION_ENGINE = %(engine)s: here the old cookie "
            "stays valid until it expires or its user signs out."
        )
        return not_met(text % {"engine": '"cookieproj.engines.db"'})
    if site.has_devices():
        return met(
            _("A sign-in changes the session key, and so does a password that is asked for again.")
        )
    return not_visible(
        _(
            "A sign-in changes the session key. Look whether a view signs in a user who is signed "
            "in already: Django keeps the key then, and request.session.cycle_key() changes it."
        )
    )


@L2(
    "7.3.1",
    gettext_lazy("A session that is not used for some time ends."),
    "tests/engines/test_timeouts.py::test_whoever_has_left_is_signed_out",
    "tests/devices/test_timeouts.py::test_idle_session_is_signed_out",
)
def idle_timeout() -> Finding:
    idle = site.idle_age()
    if idle is None:
        return to_set(*site.missing_for_timeouts(), IDLE)
    return met(_("A session ends %(seconds)d seconds after its last request.") % {"seconds": idle})


@L2(
    "7.3.2",
    gettext_lazy("A session ends some time after the sign-in, whatever is done."),
    "tests/engines/test_timeouts.py::test_absolute_timeout_ends_session_whatever_is_done",
    "tests/devices/test_timeouts.py::test_reader_is_signed_out_at_the_absolute_age",
)
def absolute_timeout() -> Finding:
    absolute = site.absolute_age()
    if absolute is None:
        return to_set(*site.missing_for_timeouts(), ABSOLUTE)
    return met(_("A session ends %(seconds)d seconds after the sign-in.") % {"seconds": absolute})
