"""For the admin of a site's own user model: what signs users out."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from cookieproj.engines.exceptions import SessionEndedError

from .models import SignedInSession
from .signing_out import sign_out_everywhere
from .user_model import signed_in_user


def sign_out_all(model_admin: admin.ModelAdmin, request: HttpRequest, users: QuerySet[Any]) -> None:
    """Everywhere but here: whoever asks for it goes on working."""
    by = signed_in_user(request)
    names = []
    for user in users:
        try:
            sign_out_everywhere(user, by=by, keep=request)
        except SessionEndedError as error:
            model_admin.message_user(request, str(error), messages.ERROR)
        else:
            names.append(user.get_username())
    if not names:
        return
    text = ngettext(
        "%(number)d user is signed out everywhere: %(names)s.",
        "%(number)d users are signed out everywhere: %(names)s.",
        len(names),
    ) % {"number": len(names), "names": ", ".join(names)}
    if by.get_username() in names:
        text = _("%(text)s This session of yours goes on.") % {"text": text}
    model_admin.message_user(request, text, messages.SUCCESS)


class SignOutPermission:
    """Whose actions sign users out everywhere, which works on engines that cannot end just one."""

    def has_sign_out_permission(self, request: HttpRequest) -> bool:
        return may(request, "delete")


class SignOutUsersMixin(SignOutPermission):
    """Before the other bases of the admin of a user model: an action that signs users out.

    A class that names ``actions`` of its own names "sign_out" among them.
    """

    actions: Any = ["sign_out"]

    @admin.action(permissions=["sign_out"], description=_("Sign out everywhere"))
    def sign_out(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        sign_out_all(self, request, queryset)  # type: ignore[arg-type] # stands before one

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Who may delete a user may so end their sessions, and sees them only if allowed to."""
        listed, counts, needed, protected = super().get_deleted_objects(objs, request)  # type: ignore[misc]
        if not may(request, "view"):
            listed = [str(user) for user in objs]
        return listed, counts, needed - {SignedInSession._meta.verbose_name}, protected


def may(request: HttpRequest, action: str) -> bool:
    """Whether whoever asks may do that to signed-in sessions."""
    opts = SignedInSession._meta
    user: Any = request.user
    return bool(user.has_perm(f"{opts.app_label}.{get_permission_codename(action, opts)}"))
