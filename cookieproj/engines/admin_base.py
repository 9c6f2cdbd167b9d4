"""The base class of the admin's lists of sessions."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse


class ViewOrDeleteAdmin(admin.ModelAdmin):
    """An admin in which nothing can be added or changed."""

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: Any) -> HttpResponse:
        return self.redirect_to_list(request, super().response_delete(request, obj_display, obj_id))

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, *args: Any) -> HttpResponse:
        """Return to the list if the object is gone, by another click for instance."""
        response = super()._get_obj_does_not_exist_redirect(request, *args)  # type: ignore[misc]
        return self.redirect_to_list(request, response)

    def redirect_to_list(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Return a redirect to the list with its filters, if ``response`` is a redirect.

        Django redirects users who may not change anything to the admin's index.
        """
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
