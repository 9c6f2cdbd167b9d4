"""Mixins for the admin of a site's own user model: actions that sign users out."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from cookieproj.engines.compliance.site import ASKS_FOR_PASSWORD
from cookieproj.engines.exceptions import SessionEndedError

from .decorators import recently_authenticated
from .kept_post import SAFE_METHODS
from .models import SignedInSession
from .signing_out import sign_out_everywhere
from .user_model import signed_in_user


def sign_out_all(model_admin: admin.ModelAdmin, request: HttpRequest, users: QuerySet[Any]) -> None:
    """Sign the users out everywhere, except for the session of this request. Show the result."""
    by = signed_in_user(request)
    signed_out_names = []
    for user in users:
        try:
            sign_out_everywhere(user, by=by, keep=request)
        except SessionEndedError as error:
            model_admin.message_user(request, str(error), messages.ERROR)
        else:
            signed_out_names.append(user.get_username())
    if not signed_out_names:
        return
    text = ngettext(
        "%(number)d user is signed out everywhere: %(names)s.",
        "%(number)d users are signed out everywhere: %(names)s.",
        len(signed_out_names),
    ) % {"number": len(signed_out_names), "names": ", ".join(signed_out_names)}
    if by.get_username() in signed_out_names:
        text = _("%(text)s Your current session stays signed in.") % {"text": text}
    model_admin.message_user(request, text, messages.SUCCESS)


def ask_before_changes(view: Callable[..., Any]) -> Callable[..., Any]:
    """Ask for the password before a POST, if DEVICES_ASK_PASSWORD_AFTER says so."""
    guarded = recently_authenticated()(view)

    @wraps(view)
    def view_or_question(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # The admin has a sign-in page of its own.
        asks = request.method not in SAFE_METHODS and request.user.is_authenticated
        response: HttpResponseBase = (guarded if asks else view)(request, *args, **kwargs)
        return response

    # For ``checksessions``.
    setattr(view_or_question, ASKS_FOR_PASSWORD, True)
    return view_or_question


class AskPasswordMixin:
    """Asks staff for their password before each change in a ModelAdmin.

    It does so if DEVICES_ASK_PASSWORD_AFTER is set. It stands before the other base classes.
    """

    def get_urls(self) -> list[URLPattern]:
        urls: list[URLPattern] = super().get_urls()  # type: ignore[misc]
        for url in urls:
            url.callback = ask_before_changes(url.callback)
        return urls


class SignOutPermission:
    """The permission for actions that sign users out everywhere.

    They also work on engines that cannot end a single session.
    """

    def has_sign_out_permission(self, request: HttpRequest) -> bool:
        return has_session_permission(request, "delete")


class SignOutUsersMixin(AskPasswordMixin, SignOutPermission):
    """Adds the action "sign out" to the admin of a user model, whose changes ask for the password.

    It stands before the other base classes. A class with its own ``actions`` includes "sign_out".
    """

    actions: Any = ["sign_out"]

    @admin.action(permissions=["sign_out"], description=_("Sign out everywhere"))
    def sign_out(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        sign_out_all(self, request, queryset)  # type: ignore[arg-type] # mixed into a ModelAdmin

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Let a user's deletion end their sessions without a permission for these.

        The page lists the sessions only with the permission to view them.
        """
        listed, counts, permissions_needed, protected = super().get_deleted_objects(objs, request)  # type: ignore[misc]
        if not has_session_permission(request, "view"):
            listed = [str(user) for user in objs]
        permissions_needed -= {SignedInSession._meta.verbose_name}
        return listed, counts, permissions_needed, protected


def has_session_permission(request: HttpRequest, action: str) -> bool:
    """Whether the user of the request has the permission for that action on signed-in sessions."""
    opts = SignedInSession._meta
    user: Any = request.user
    return bool(user.has_perm(f"{opts.app_label}.{get_permission_codename(action, opts)}"))
