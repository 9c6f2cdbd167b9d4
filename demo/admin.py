import json
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from .models import SHOWN, StoredSession, User, partial

admin.site.register(User, UserAdmin)


class SessionChangeList(ChangeList):
    def url_for_result(self, result: Any) -> str:
        return reverse("admin:demo_storedsession_change", args=[result.pk])

    def get_results(self, request: HttpRequest) -> None:
        """Read the users of a page of sessions in one query."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        held = [session.get_decoded().get(SESSION_KEY) for session in self.result_list]
        users = User.objects.in_bulk({int(pk) for pk in held if pk})
        for session, pk in zip(self.result_list, held, strict=True):
            session.signed_in = users.get(int(pk)) if pk else None


@admin.register(StoredSession)
class StoredSessionAdmin(admin.ModelAdmin):
    list_display = ["key", "user", "expire_date", "size"]
    ordering = ["-expire_date"]
    fields = ("key", "user", "expire_date", "size", "data")
    readonly_fields = fields
    actions = None
    show_full_result_count = False

    @admin.display(description=_("key"))
    def key(self, session: StoredSession) -> str:
        return partial(session.session_key)

    @admin.display(description=_("user"))
    def user(self, session: StoredSession) -> Any:
        return session.signed_in or _("anonymous")

    @admin.display(description=_("size in bytes"))
    def size(self, session: StoredSession) -> int:
        return len(session.session_data)

    @admin.display(description=_("data"))
    def data(self, session: StoredSession) -> str:
        held = session.get_decoded()
        if HASH_SESSION_KEY in held:
            held[HASH_SESSION_KEY] = partial(held[HASH_SESSION_KEY])
        return format_html("<pre>{}</pre>", json.dumps(held, indent=2, ensure_ascii=False))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SessionChangeList

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> StoredSession | None:
        beginning = object_id.partition("-")[0]
        alike = StoredSession.objects.filter(session_key__startswith=beginning)
        for session in alike if len(beginning) == SHOWN else ():
            if constant_time_compare(session.pk, object_id):
                return session
        return None

    def delete_model(self, request: HttpRequest, obj: StoredSession) -> None:
        """Through the engine, so that cached_db forgets the session in its cache too."""
        import_module(settings.SESSION_ENGINE).SessionStore(obj.session_key).delete()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_table() and super().has_view_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_table() and super().has_delete_permission(request, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return has_table() and super().has_module_permission(request)


def has_table() -> bool:
    """Whether the running engine keeps its sessions in Django's table."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    return hasattr(store, "get_model_class")
