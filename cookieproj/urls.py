from django.contrib import admin
from django.urls import include, path

# They lead to pages outside of the admin, and serve fields, of which its models have none.
UNUSED = {"view_on_site", "autocomplete"}
urls, app, name = admin.site.urls

urlpatterns = [
    path("admin/", ([url for url in urls if getattr(url, "name", "") not in UNUSED], app, name)),
    path("devices/", include("cookieproj.devices.urls")),
    path("", include("demo.urls")),
]
