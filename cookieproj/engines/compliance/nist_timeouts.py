"""NIST SP 800-63B-4, sections 5.2 and 5.3: a sign-in that is too old, and monitoring.

The figures are in the sections of each AAL: 2.1.3, 2.2.3 and 2.3.3.
"""

from collections.abc import Callable

from django.apps import apps
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import asvs_v7_ending, site
from .nist_secrets import refused_after_its_time
from .requirement import SHALL, SHOULD, Finding, met, not_applicable, not_visible, to_set

MINUTE, HOUR, DAY = 60, 60 * 60, 24 * 60 * 60


def judge_age(age: int | None, setting: str, most: int) -> Finding:
    """Judge a timeout that must be set, and be at most so many seconds."""
    if age is None or age > most:
        return to_set(*site.missing_for_timeouts(), f"{setting} = {most}")
    text = _("%(setting)s = %(seconds)d, of at most %(most)d.")
    return met(text % {"setting": setting, "seconds": age, "most": most})


def overall(most: int) -> Callable[[], Finding]:
    return lambda: judge_age(site.absolute_age(), "SESSION_ABSOLUTE_AGE", most)


def inactivity(most: int) -> Callable[[], Finding]:
    return lambda: judge_age(site.idle_age(), "SESSION_IDLE_AGE", most)


ABSOLUTE_TEST = (
    "tests/engines/test_timeouts.py::test_absolute_timeout_ends_session_whatever_is_done"
)
IDLE_TEST = "tests/engines/test_timeouts.py::test_whoever_has_left_is_signed_out"

SHOULD(
    "2.1.3-overall",
    gettext_lazy("AAL1: the user signs in again after 30 days at most."),
    ABSOLUTE_TEST,
    applies_at=(1,),
)(overall(30 * DAY))
SHOULD(
    "2.2.3-overall",
    gettext_lazy("AAL2: the user signs in again after 24 hours at most."),
    ABSOLUTE_TEST,
    applies_at=(2,),
)(overall(DAY))
SHOULD(
    "2.2.3-inactivity",
    gettext_lazy("AAL2: a session ends after an hour without activity at most."),
    IDLE_TEST,
    applies_at=(2,),
)(inactivity(HOUR))
SHALL(
    "2.3.3-overall",
    gettext_lazy("AAL3: the user signs in again after 12 hours at most."),
    ABSOLUTE_TEST,
    applies_at=(3,),
)(overall(12 * HOUR))
SHOULD(
    "2.3.3-inactivity",
    gettext_lazy("AAL3: a session ends after 15 minutes without activity at most."),
    IDLE_TEST,
    applies_at=(3,),
)(inactivity(15 * MINUTE))

SHALL(
    "5.2-periodic",
    gettext_lazy("From time to time users show, by signing in again, that they are still there."),
    ABSOLUTE_TEST,
)(refused_after_its_time)


@SHALL(
    "5.2-timeouts",
    gettext_lazy(
        "Either timeout ends the session; activity renews the one, and a new sign-in renews both."
    ),
    "tests/engines/test_timeouts.py::test_earliest_of_all_wins",
    "tests/engines/test_timeouts.py::test_reader_stays",
    "tests/devices/test_timeouts.py::test_absolute_age_counts_from_the_last_sign_in",
    applies_at=(2, 3),
)
def both_timeouts() -> Finding:
    missing = [] if site.idle_age() else ["SESSION_IDLE_AGE"]
    missing += [] if site.absolute_age() else ["SESSION_ABSOLUTE_AGE"]
    if missing:
        return to_set(*site.missing_for_timeouts(), *missing)
    return met(_("The earlier of the two ends the session, and a sign-in renews both."))


@SHALL(
    "5.2-documented",
    gettext_lazy("The timeouts of the site are written down."),
    "tests/engines/test_compliance_nist.py::test_verdict_by_settings",
)
def documented() -> Finding:
    absolute = site.absolute_age()
    if absolute is None:
        return to_set(*site.missing_for_timeouts(), "SESSION_ABSOLUTE_AGE")
    text = _(
        "The settings say it: SESSION_IDLE_AGE = %(idle)s, SESSION_ABSOLUTE_AGE = %(absolute)s."
    )
    return met(text % {"idle": site.idle_age(), "absolute": absolute})


SHALL(
    "5.2-federation",
    gettext_lazy("With single sign-on: this site itself decides whether a sign-in is too old."),
    "tests/engines/test_compliance_apps.py::test_verdicts_by_apps",
)(asvs_v7_ending.federated_lifetimes)


@SHOULD(
    "5.3-monitoring",
    gettext_lazy(
        "If a session looks stolen, it ends, or its user signs in again, or staff is told."
    ),
    "tests/devices/test_known_devices.py::test_email_names_the_device",
)
def monitored() -> Finding:
    if site.has_devices() and getattr(settings, "DEVICES_NEW_DEVICE_EMAIL", False):
        return met(_("Users are told of a sign-in from a new device, and can end it."))
    return not_visible(_("Look whether anything watches sessions, and what follows."))


@SHALL(
    "5.3-privacy",
    gettext_lazy("What is stored about sessions is part of the privacy assessment."),
    "tests/devices/test_registry_encryption.py::test_no_table_contains_a_session_key_or_hash",
)
def privacy_assessed() -> Finding:
    if apps.is_installed(site.DEVICES):
        return not_visible(
            _("Assess that cookieproj.devices stores address, browser and times of each session.")
        )
    return not_applicable(_("Nothing of this project stores addresses or browsers of sessions."))
