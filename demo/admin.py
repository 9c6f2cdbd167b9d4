from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group

from cookieproj.devices.admin_lookups import AllowedLookupsAdmin
from cookieproj.devices.admin_mixins import SignOutUsersMixin

from .models import User

admin.site.unregister(Group)


@admin.register(Group)
class SiteGroupAdmin(AllowedLookupsAdmin, GroupAdmin):
    allowed_lookups = ("id", "name")


@admin.register(User)
class SiteUserAdmin(SignOutUsersMixin, AllowedLookupsAdmin, UserAdmin):
    allowed_lookups = (
        "id", "username", "first_name", "last_name", "email", "is_active", "is_staff",
        "is_superuser", "groups", "groups__id", "last_login", "date_joined",
    )  # fmt: skip
