"""OWASP ASVS 5.0, chapter V7, sections 4 to 6: how sessions end, and what needs a new proof."""

import inspect
import re
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.backends import AllowAllUsersModelBackend, BaseBackend, ModelBackend
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.engine_registry import current_engine
from cookieproj.engines.subclass_hooks import overrides

from . import site
from .asvs_v7 import devices_missing, judge_federation
from .requirement import L1, L2, L3, Finding, met, not_met, not_visible, to_set

ASK_AFTER = "DEVICES_ASK_PASSWORD_AFTER = 300"

# Words, and parts of words, of the addresses at which people change how they sign in.
ACCOUNT_WORDS = {"2fa", "mfa", "mobile", "otp", "totp"}
ACCOUNT_PARTS = ("authenticator", "factor", "mail", "phone", "recovery")


@L1(
    "7.4.1",
    gettext_lazy("A session that has ended, by a sign-out or by its age, cannot be used again."),
    "tests/attacks/test_replay.py::test_copy_is_invalid_after_sign_out",
    "tests/failures/test_clock.py::test_sessions_end_on_time",
)
def ended_for_good() -> Finding:
    if not site.ends_what_browsers_keep():
        return to_set(*site.remedy_for_browsers())
    if current_engine().is_held_by_browser:
        return met(_("SESSION_REVOCATION_CHECK refuses the cookies of sessions that have ended."))
    return met(_("A session that ends is deleted, and one that has expired opens nothing."))


@L1(
    "7.4.2",
    gettext_lazy("All sessions of a user end when the account is disabled or deleted."),
    "tests/attacks/test_replay.py::test_copy_is_invalid_after_sign_out_everywhere_or_new_password",
)
def disabled_accounts() -> Finding:
    others = []
    for name in settings.AUTHENTICATION_BACKENDS:
        backend: Any = import_string(name)
        # Django accepts a function too, and whatever that returns.
        is_known = inspect.isclass(backend) and hasattr(backend, "get_user")
        if not is_known:
            others.append(name)
            continue
        if issubclass(backend, AllowAllUsersModelBackend):
            return not_met(
                _("Take %(backend)s out of AUTHENTICATION_BACKENDS: it admits disabled users.")
                % {"backend": name}
            )
        if backend.get_user is BaseBackend.get_user:
            # It only authenticates, or refuses to: no session is of it.
            continue
        if not issubclass(backend, ModelBackend) or overrides(
            backend, "get_user", "aget_user", "user_can_authenticate"
        ):
            others.append(name)
    if others:
        text = _("Look whether get_user of %(backends)s returns None for a disabled user.")
        return not_visible(text % {"backends": ", ".join(others)})
    return met(
        _("Each request looks up the user: nobody is signed in as a disabled or deleted one.")
    )


@L2(
    "7.4.3",
    gettext_lazy(
        "After a change of the password, or of another factor, the other sessions can be ended."
    ),
    "tests/attacks/test_replay.py::test_copy_is_invalid_after_sign_out_everywhere_or_new_password",
    "tests/devices/test_your_devices.py::test_sign_out_others_keeps_this_device",
)
def other_sessions_after_change() -> Finding:
    if (page := site.devices_page()) and site.ends_sessions_of_others():
        text = _("A new password ends the others by itself, and %(page)s ends them at any time.")
        return met(text % {"page": page})
    if not site.hash_ends_sessions():
        return not_met(devices_missing())
    if used := site.installed(site.FACTOR_APPS):
        text = _("A new password ends the others. Look whether a change of %(apps)s offers it.")
        return not_visible(text % {"apps": ", ".join(used)})
    return met(_("A new password ends the others by itself: each session has a hash of it."))


@L2(
    "7.4.4",
    gettext_lazy("Each page behind a sign-in has a button to sign out, easy to see."),
    "tests/devices/test_session_views.py::test_button_is_on_every_page_of_a_signed_in_user",
)
def sign_out_on_each_page() -> Finding:
    if site.has_sign_out_button("cookieproj_devices/base.html"):
        return met(_("The template that the site's pages extend has the tag sign_out_button."))
    return not_visible(
        _(
            "Put the tag sign_out_button into the template that all pages extend, and let "
            "cookieproj_devices/base.html extend it too; or look at each page."
        )
    )


@L2(
    "7.4.5",
    gettext_lazy("Administrators can end the sessions of one user, and of all."),
    "tests/devices/test_commands.py::test_signout_all_signs_out_every_user",
    "tests/demo/test_admin.py::test_action_signs_out_users_of_selected_sessions_everywhere",
)
def ended_by_administrators() -> Finding:
    if not site.has_devices():
        return not_met(devices_missing())
    if not site.ends_sessions_of_others():
        return to_set(*site.remedy_for_browsers())
    if apps.is_installed("django.contrib.admin"):
        return met(_("The admin and `manage.py signout` end the sessions of one user or of all."))
    return met(_("`manage.py signout` ends the sessions of one user, and with --all those of all."))


def judge_asking_password() -> Finding | None:
    """Return what is missing for the password to be asked for again; None if nothing is."""
    if not site.has_devices():
        return not_met(devices_missing())
    return to_set(ASK_AFTER) if site.asks_password_after() is None else None


def is_about_account(route: str) -> bool:
    words = re.split(r"[\W_]+", route)
    return not ACCOUNT_WORDS.isdisjoint(words) or any(part in route for part in ACCOUNT_PARTS)


@L2(
    "7.5.1",
    gettext_lazy(
        "Changing an e-mail address, a telephone number or a second factor needs a new sign-in."
    ),
    "tests/devices/test_guarded_pages.py::test_changing_email_or_password_of_a_user_asks",
)
def sensitive_attributes() -> Finding:
    if missing := judge_asking_password():
        return missing
    unmarked = [
        route
        for route, view in site.views()
        if is_about_account(route.lower()) and not site.asks_for_password(view)
    ]
    unmarked += [
        route for route, view in site.admin_views_of_users() if not site.asks_for_password(view)
    ]
    if unmarked:
        text = _(
            "Look whether these ask for the password, as with @recently_authenticated(): %(urls)s"
        )
        return not_visible(text % {"urls": ", ".join(unmarked)})
    text = _(
        "The password is asked for again after %(seconds)d seconds, and no address names an "
        "e-mail, a telephone number or a second factor but those that ask for it."
    )
    return met(text % {"seconds": site.asks_password_after()})


@L2(
    "7.5.2",
    gettext_lazy("Users see their sessions, and can end each after they have signed in again."),
    "tests/devices/test_your_devices.py::test_page_lists_only_the_users_devices_and_marks_this_one",
    "tests/devices/test_your_devices.py::test_signing_out_another_device_ends_its_session",
    "tests/devices/test_guarded_pages.py::test_signing_out_another_device_asks",
)
def sessions_of_user() -> Finding:
    if missing := judge_asking_password():
        return missing
    page = site.devices_page()
    if not page:
        return not_met(_("Add the addresses of cookieproj.devices.urls to ROOT_URLCONF."))
    if not site.ends_what_browsers_keep():
        return to_set(*site.remedy_for_browsers())
    text = _("%(page)s lists them, and asks for the password before it ends one.")
    return met(text % {"page": page})


@L3(
    "7.5.3",
    gettext_lazy("The most sensitive operations, such as payments, need a further proof first."),
    "tests/devices/test_ask_again.py::test_post_is_kept_while_the_password_is_asked",
)
def sensitive_operations() -> Finding:
    if missing := judge_asking_password():
        return missing
    asking = [
        route
        for route, view in site.views()
        if site.asks_for_password(view)
        and not getattr(view, "__module__", "").startswith(site.DEVICES)
    ]
    if asking:
        text = _("These ask for the password again: %(urls)s")
        return met(text % {"urls": ", ".join(asking)})
    return not_visible(
        _("Decorate the views that move money or the like with @recently_authenticated().")
    )


@L2(
    "7.6.1",
    gettext_lazy("With single sign-on: sessions last and end, here and there, as is written down."),
    "tests/engines/test_compliance_apps.py::test_verdicts_by_apps",
)
def federated_lifetimes() -> Finding:
    return judge_federation(
        _("Look whether the provider is asked again when SESSION_ABSOLUTE_AGE has passed.")
    )


@L2(
    "7.6.2",
    gettext_lazy("With single sign-on: no session begins without something that the user does."),
    "tests/engines/test_compliance_apps.py::test_verdicts_by_apps",
)
def federated_consent() -> Finding:
    return judge_federation(_("Look whether a link or a frame alone can sign a user in."))
