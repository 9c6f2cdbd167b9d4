"""The page "Your devices", which lists where a user is signed in, and its buttons to sign out."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cookieproj.engines import running_engine
from cookieproj.engines.exceptions import SessionEndedError
from cookieproj.engines.timeouts import timeouts

from . import device_limit, signing_out, stored_sessions, tracking
from .decorators import recently_authenticated, require_post
from .row_identity import registered_id
from .signing_out import devices_of, log_end_by_owner, sign_out_everywhere
from .user_model import counts_sign_outs, signed_in_user


@require_safe
@never_cache
@login_required
def your_devices(request: HttpRequest) -> HttpResponse:
    user = signed_in_user(request)
    # Before the page is rendered, so that the page lists this request too.
    tracking.track(request)
    this_id = registered_id(request.session)
    context = {
        "user": user,
        "devices": sorted(devices_of(user), key=lambda device: str(device.pk) != this_id),
        "this": this_id,
        "most": signing_out.MAX_DEVICES_LISTED,
        "shows_idle_end": timeouts().idle is not None,
        "why_not_single": running_engine.why_not_single(),
        "ends_unknown": counts_sign_outs(),
        "limit": device_limit.describe(user),
    }
    return render(request, "cookieproj_devices/device_list.html", context)


@require_post(page="cookieproj_devices:list")
@login_required
def sign_out_one(request: HttpRequest, pk: UUID) -> HttpResponse:
    # Nobody needs a password to sign out where they are.
    is_this = str(pk) == registered_id(request.session)
    response: HttpResponse = (end_one if is_this else recently_authenticated()(end_one))(
        request, pk
    )
    return response


def end_one(request: HttpRequest, pk: UUID) -> HttpResponse:
    row = signed_in_user(request).signed_in_sessions.filter(pk=pk).first()
    if row is None:
        # Another click or device has signed it out, or it is another user's: the message is the
        # same for both.
        messages.info(request, _("That device is already signed out."), fail_silently=True)
    elif str(row.pk) == registered_id(request.session):
        with log_end_by_owner(row):
            logout(request)
        # The redirect leads to the sign-in page, by way of the list.
        messages.success(request, _("You are signed out on this device."), fail_silently=True)
    elif reason := running_engine.why_not_single():
        messages.error(request, reason, fail_silently=True)
    else:
        names = {"device": row.device}
        try:
            with log_end_by_owner(row):
                row.delete()
        except stored_sessions.NotEndedError as error:
            text = _(
                "%(device)s is not signed out. %(reason)s Sign out all other devices instead, "
                "which needs no key."
            )
            messages.error(request, text % (names | {"reason": error.reason}), fail_silently=True)
        else:
            messages.success(request, _("%(device)s is signed out.") % names, fail_silently=True)
    return redirect("cookieproj_devices:list")


@require_post(page="cookieproj_devices:list")
@recently_authenticated()
def sign_out_others(request: HttpRequest) -> HttpResponse:
    user = signed_in_user(request)
    try:
        ended = sign_out_everywhere(user, by=user, keep=request)
    except (SessionEndedError, stored_sessions.NotEndedError) as error:
        messages.error(request, str(error), fail_silently=True)
    else:
        messages.success(request, devices_signed_out(ended), fail_silently=True)
    return redirect("cookieproj_devices:list")


def devices_signed_out(number: int) -> str:
    """Return a sentence with the number of devices that were signed out."""
    if not number:
        # Perhaps the first click of a double click has signed them out.
        return _("No other device is signed in.")
    text = ngettext(
        "%(number)d device is signed out.", "%(number)d devices are signed out.", number
    )
    return text % {"number": number}
