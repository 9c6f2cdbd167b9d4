from importlib.util import find_spec
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import display_for_value
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.auth.views import INTERNAL_RESET_SESSION_TOKEN
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CSRF_SESSION_KEY
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from . import inspector
from .admin_base import ViewOrDeleteAdmin
from .encryption import DecryptionError
from .exceptions import NotListableError
from .models import StoredSession
from .session_keys import masked

# Whoever knows one of these values can act as the user of the session.
SECRET_ITEMS = {HASH_SESSION_KEY, INTERNAL_RESET_SESSION_TOKEN, CSRF_SESSION_KEY}


class StoredSessionAdmin(ViewOrDeleteAdmin):
    """The running engine's sessions, in the store's own order. There is no table to query."""

    fields = ("key", "user", "expires", "size", "data")
    readonly_fields = fields

    @admin.display(description=_("key"))
    def key(self, session: StoredSession) -> str:
        return session.key

    @admin.display(description=_("user"))
    def user(self, session: StoredSession) -> Any:
        return session.user or (_("anonymous") if session.is_anonymous else _("unknown"))

    @admin.display(description=_("expires"))
    def expires(self, session: StoredSession) -> Any:
        return display_for_value(session.listed.expires, gettext("never"))

    @admin.display(description=_("size in bytes"))
    def size(self, session: StoredSession) -> int:
        return session.listed.size

    @admin.display(description=_("data"))
    def data(self, session: StoredSession) -> Any:
        if getattr(session.user, "is_superuser", False):
            return _("Nobody gets to see the data of a superuser's session.")
        if not session.user and not session.is_anonymous:
            return _("Nobody gets to see the data of a session whose user is not found.")
        visible_data = {
            name: masked(str(value)) if name in SECRET_ITEMS else value
            for name, value in session.listed.data.items()
        }
        return format_html("<pre>{}</pre>", inspector.as_text(visible_data))

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context: dict[str, Any] = {
            "title": capfirst(self.opts.verbose_name_plural),
            "opts": self.opts,
        }
        try:
            context["sessions"], context["next"] = inspector.page(request.GET.get("start", ""))
        except NotListableError as error:
            context["why_not"] = str(error)
        except DecryptionError:
            text = _("There is no such page of the list any more; this is its beginning.")
            self.message_user(request, text, messages.WARNING)
            return redirect(request.path)
        context |= {"start": "start" in request.GET, **self.admin_site.each_context(request)}
        return TemplateResponse(
            request, "admin/cookieproj_engines/storedsession/change_list.html", context
        )

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> StoredSession | None:
        try:
            return inspector.find(object_id)
        except NotListableError:
            return None

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return the sessions alone: nothing else is deleted with them."""
        counts = {self.opts.verbose_name_plural: len(objs)}
        return [str(session) for session in objs], counts, set(), []

    def delete_model(self, request: HttpRequest, obj: StoredSession) -> None:
        inspector.end(obj)


if find_spec("cryptography"):
    # Without it, session keys could not be encrypted in the URLs of these pages.
    admin.site.register(StoredSession, StoredSessionAdmin)
