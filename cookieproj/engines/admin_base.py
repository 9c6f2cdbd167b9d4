"""What the admin's lists of sessions share."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse


class ViewOrDeleteAdmin(admin.ModelAdmin):
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
