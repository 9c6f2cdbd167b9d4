from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import display_for_value
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.contrib.auth.views import INTERNAL_RESET_SESSION_TOKEN
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import CSRF_SESSION_KEY
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cookieproj.engines.exceptions import NotListableError, SessionEndedError

from . import engine, inspector
from .devices import sign_out_everywhere, signed_in_user
from .lists import DeviceFilter, EngineFilter, WithinReach
from .liveness import NotEndedError, stored
from .lookups import ChecksLookups
from .models import SignedInSession, StoredSession, User, partial
from .sealing import NotSealedHereError

# Who knows these is, or may become, somebody else.
SECRETS = {HASH_SESSION_KEY, INTERNAL_RESET_SESSION_TOKEN, CSRF_SESSION_KEY}


def sign_out_all(
    model_admin: admin.ModelAdmin, request: HttpRequest, users: QuerySet[User]
) -> None:
    """Everywhere but here: whoever asks for it goes on working."""
    by = signed_in_user(request)
    names = []
    for user in users:
        try:
            sign_out_everywhere(user, by=by, keep=request)
        except SessionEndedError as error:
            model_admin.message_user(request, str(error), messages.ERROR)
        else:
            names.append(user.username)
    if not names:
        return
    text = ngettext(
        "%(number)d user is signed out everywhere: %(names)s.",
        "%(number)d users are signed out everywhere: %(names)s.",
        len(names),
    ) % {"number": len(names), "names": ", ".join(names)}
    if by.username in names:
        text = _("%(text)s This session of yours goes on.") % {"text": text}
    model_admin.message_user(request, text, messages.SUCCESS)


class SignsOut:
    """Whose actions sign users out everywhere, which works on engines that cannot end just one."""

    def has_sign_out_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("demo.delete_signedinsession")


admin.site.unregister(Group)


@admin.register(Group)
class SiteGroupAdmin(ChecksLookups, GroupAdmin):
    may_be_asked = ("id", "name")


@admin.register(User)
class SiteUserAdmin(SignsOut, ChecksLookups, UserAdmin):
    actions = ["sign_out"]
    may_be_asked = (
        "id", "username", "first_name", "last_name", "email", "is_active", "is_staff",
        "is_superuser", "groups", "groups__id", "last_login", "date_joined",
    )  # fmt: skip

    @admin.action(permissions=["sign_out"], description=_("Sign out everywhere"))
    def sign_out(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        sign_out_all(self, request, queryset)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Who may delete a user may so end their sessions, and sees them only if allowed to."""
        listed, counts, needed, protected = super().get_deleted_objects(objs, request)
        if not request.user.has_perm("demo.view_signedinsession"):
            listed = [str(user) for user in objs]
        return listed, counts, needed - {SignedInSession._meta.verbose_name}, protected


def not_ended(reasons: Iterable[str]) -> Iterator[str]:
    """A sentence for each, with the number of sessions that it keeps from being ended."""
    for reason, number in Counter(reasons).items():
        text = ngettext(
            "%(number)d session is not signed out. %(reason)s",
            "%(number)d sessions are not signed out. %(reason)s",
            number,
        )
        yield text % {"number": number, "reason": reason}


class SeenOrEnded(admin.ModelAdmin):
    """Nobody makes a session here, or changes one."""

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: Any) -> HttpResponse:
        return self.back(request, super().response_delete(request, obj_display, obj_id))

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, *args: Any) -> HttpResponse:
        """Of one that has gone meanwhile, by another click say."""
        return self.back(request, super()._get_obj_does_not_exist_redirect(request, *args))  # type: ignore[misc]

    def back(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """To the list, as it was filtered: Django leads who may change nothing elsewhere."""
        if not isinstance(response, HttpResponseRedirect) or not self.has_view_permission(request):
            return response
        names = self.opts.app_label, self.opts.model_name
        url = reverse("admin:{}_{}_changelist".format(*names), current_app=self.admin_site.name)
        filters: Any = {"opts": self.opts, "preserved_filters": self.get_preserved_filters(request)}
        return redirect(add_preserved_filters(filters, url))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def out_of_reach(rows: Iterable[SignedInSession]) -> Iterator[tuple[UUID, str]]:
    """Those whose stored sessions cannot be ended, and why."""
    for row in rows:
        try:
            if row.sealed_key:
                stored(row)
        except NotEndedError as error:
            yield row.pk, str(error)


@admin.register(SignedInSession)
class SignedInSessionAdmin(SignsOut, ChecksLookups, SeenOrEnded):
    fields = (
        "user", "device", "address", "last_seen", "signed_in_at", "expires", "engine", "key",
    )  # fmt: skip
    list_display = fields
    list_filter = [EngineFilter, DeviceFilter, "signed_in_at"]
    may_be_asked = (
        "id", "user", "user__id", "engine", "browser", "system", "address", "signed_in_at",
        "last_seen", "expires",
    )  # fmt: skip
    list_select_related = ["user"]
    ordering = ["-signed_in_at"]
    # By what an index orders them.
    sortable_by = ["signed_in_at", "expires"]
    search_fields = ["user__username__istartswith", "address__startswith"]
    search_help_text = _(
        "The beginning of a user name or an address. Up to 10,000 are listed, the latest first."
    )
    actions = ["delete_selected", "sign_out_users"]
    # Without what offers to select all of them, those beyond reach too.
    actions_selection_counter = False
    paginator = WithinReach
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    @admin.display(description=_("device"))
    def device(self, row: SignedInSession) -> str:
        return row.device

    @admin.display(description=_("key"))
    def key(self, row: SignedInSession) -> Any:
        if not row.sealed_key:
            return _("held by the browser")
        key = row.session_key
        return partial(key) if key else _("unreadable")

    @admin.action(permissions=["delete"], description=_("Sign out selected"))
    def delete_selected(
        self, request: HttpRequest, queryset: QuerySet[SignedInSession]
    ) -> HttpResponse | None:
        """Django's own, in place of it, by the name that its page of confirmation asks for."""
        if request.POST.get("post"):
            kept = dict(out_of_reach(queryset))
            for sentence in not_ended(kept.values()):
                self.message_user(request, sentence, messages.ERROR)
            queryset = queryset.exclude(pk__in=kept)
        # One that the store refuses is not in the log either.
        with transaction.atomic(using=router.db_for_write(SignedInSession)):
            return delete_selected(self, request, queryset)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response: HttpResponse = super().delete_view(request, *args, **kwargs)
        except NotEndedError as error:
            [sentence] = not_ended([str(error)])
            self.message_user(request, sentence, messages.ERROR)
            return self.back(request, redirect("admin:index"))
        return response

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not engine.why_not_one()

    @admin.action(
        permissions=["sign_out"],
        description=_("Sign out everywhere the users of selected sessions"),
    )
    def sign_out_users(self, request: HttpRequest, queryset: QuerySet[SignedInSession]) -> None:
        rows = queryset.order_by().values("user")
        sign_out_all(self, request, User.objects.filter(pk__in=rows))

    def get_queryset(self, request: HttpRequest) -> QuerySet[SignedInSession]:
        return SignedInSession.objects.live()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        context = {"why_not_one": engine.why_not_one()}
        return super().changelist_view(request, context | (extra_context or {}))


@admin.register(StoredSession)
class StoredSessionAdmin(SeenOrEnded):
    """The running engine's sessions, in its own order; there is no table to query."""

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
        if session.user and session.user.is_superuser:
            return _("Nobody gets to see the data of a superuser's session.")
        if not session.user and not session.is_anonymous:
            return _("Nobody gets to see the data of a session whose user is not found.")
        held = {
            name: partial(str(value)) if name in SECRETS else value
            for name, value in session.listed.data.items()
        }
        return format_html("<pre>{}</pre>", inspector.as_text(held))

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
        except NotSealedHereError:
            text = _("There is no such page of the list any more; this is its beginning.")
            self.message_user(request, text, messages.WARNING)
            return redirect(request.path)
        context |= {"start": "start" in request.GET, **self.admin_site.each_context(request)}
        return TemplateResponse(request, "admin/demo/storedsession/change_list.html", context)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> StoredSession | None:
        try:
            return inspector.find(object_id)
        except NotListableError:
            return None

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Nothing else goes with it."""
        counts = {self.opts.verbose_name_plural: len(objs)}
        return [str(session) for session in objs], counts, set(), []

    def delete_model(self, request: HttpRequest, obj: StoredSession) -> None:
        inspector.end(obj)
