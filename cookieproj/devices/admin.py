"""The admin of signed-in sessions."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import display_for_value
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.db import router, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from cookieproj.engines import running_engine
from cookieproj.engines.admin_base import ViewOrDeleteAdmin
from cookieproj.engines.session_keys import masked
from cookieproj.engines.timeouts import timeouts

from .admin_filters import CappedPaginator, DeviceFilter, EngineFilter
from .admin_lookups import AllowedLookupsAdmin
from .admin_mixins import AskPasswordMixin, SignOutPermission, sign_out_all
from .models import SignedInSession
from .outdated_sessions import end_outdated
from .stored_sessions import NotEndedError, open_stored_session
from .user_model import users


def not_signed_out_messages(reasons: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each reason, with the number of sessions that it concerns."""
    for reason, number in Counter(reasons).items():
        text = ngettext(
            "%(number)d session is not signed out. %(reason)s",
            "%(number)d sessions are not signed out. %(reason)s",
            number,
        )
        yield text % {"number": number, "reason": reason}


def rows_not_endable(rows: Iterable[SignedInSession]) -> Iterator[tuple[UUID, str]]:
    """Yield the id of each row whose stored session cannot be ended, with the reason."""
    for row in rows:
        try:
            if row.sealed_key:
                open_stored_session(row)
        except NotEndedError as error:
            yield row.pk, str(error)


class SignedInSessionList(ChangeList):
    """The list without outdated sessions, which no query can find: their hash is not the user's."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        excluded: set[SignedInSession] = set()
        # Further rows move up to the page, and may be outdated too.
        while not excluded.issuperset(outdated := end_outdated(list(self.result_list))):
            excluded |= outdated
            self.queryset = self.queryset.exclude(pk__in=[row.pk for row in outdated])
            super().get_results(request)


@admin.register(SignedInSession)
class SignedInSessionAdmin(
    AskPasswordMixin, SignOutPermission, AllowedLookupsAdmin, ViewOrDeleteAdmin
):
    fields = (
        "user", "device", "address", "last_seen", "signed_in_at", "expires", "bound", "engine",
        "key",
    )  # fmt: skip
    list_display = fields
    list_filter = [EngineFilter, DeviceFilter, "signed_in_at"]
    allowed_lookups = (
        "id", "user", "user__id", "engine", "browser", "system", "address", "signed_in_at",
        "last_seen", "expires",
    )  # fmt: skip
    list_select_related = ["user"]
    ordering = ["-signed_in_at"]
    # Columns that have an index.
    sortable_by = ["signed_in_at", "expires"]
    search_help_text = _(
        "The beginning of a user name or an address. Up to 10,000 are listed, the latest first."
    )
    actions = ["delete_selected", "sign_out_users"]
    # Hides the link that selects all rows, which includes rows beyond MAX_ROWS_LISTED.
    actions_selection_counter = False
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    @admin.display(description=_("device"))
    def device(self, row: SignedInSession) -> str:
        return row.device

    @admin.display(description=_("bound to the device"))
    def bound(self, row: SignedInSession) -> str:
        """Since when, and by which algorithm, if it is bound."""
        if row.bound_at is None:
            return ""
        return f"{display_for_value(row.bound_at, '')}, {row.bound_by}"

    @admin.display(description=_("ends at the latest"))
    def latest_end(self, row: SignedInSession) -> datetime | None:
        return row.latest_end

    def get_fields(self, *args: Any, **kwargs: Any) -> tuple[str, ...]:
        return (*self.fields, "latest_end") if timeouts().absolute else self.fields

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        return self.get_fields(request)

    @admin.display(description=_("key"))
    def key(self, row: SignedInSession) -> Any:
        if not row.sealed_key:
            return _("held by the browser")
        key = row.session_key
        return masked(key) if key else _("unreadable")

    @admin.action(permissions=["delete"], description=_("Sign out selected"))
    def delete_selected(
        self, request: HttpRequest, queryset: QuerySet[SignedInSession]
    ) -> HttpResponse | None:
        """Replace Django's action. It has the same name, which the confirmation page posts."""
        if request.POST.get("post"):
            reasons = dict(rows_not_endable(queryset))
            for sentence in not_signed_out_messages(reasons.values()):
                self.message_user(request, sentence, messages.ERROR)
            queryset = queryset.exclude(pk__in=reasons)
        # If the store refuses a deletion, the log entry is rolled back with the row.
        with transaction.atomic(using=router.db_for_write(SignedInSession)):
            return delete_selected(self, request, queryset)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response: HttpResponse = super().delete_view(request, *args, **kwargs)
        except NotEndedError as error:
            [sentence] = not_signed_out_messages([str(error)])
            self.message_user(request, sentence, messages.ERROR)
            return self.redirect_to_list(request, redirect("admin:index"))
        return response

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the row may be deleted. On a page of another admin its user is deleted too."""
        match = request.resolver_match
        own_prefix = f"{self.opts.app_label}_{self.opts.model_name}_"
        if obj is not None and match is not None and not str(match.url_name).startswith(own_prefix):
            return True
        return super().has_delete_permission(request, obj) and not running_engine.why_not_single()

    @admin.action(
        permissions=["sign_out"],
        description=_("Sign out everywhere the users of selected sessions"),
    )
    def sign_out_users(self, request: HttpRequest, queryset: QuerySet[SignedInSession]) -> None:
        rows = queryset.order_by().values("user")
        sign_out_all(self, request, users().filter(pk__in=rows))

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        name = get_user_model().USERNAME_FIELD
        return [f"user__{name}__istartswith", "address__startswith"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SignedInSession]:
        return SignedInSession.objects.live()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SignedInSessionList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        context = {"why_not_single": running_engine.why_not_single()}
        return super().changelist_view(request, context | (extra_context or {}))
