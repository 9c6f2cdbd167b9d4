from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group

from cookieproj.devices.admin_lookups import ChecksLookups
from cookieproj.devices.admin_mixins import SignOutUsersMixin

from .models import User

admin.site.unregister(Group)


@admin.register(Group)
class SiteGroupAdmin(ChecksLookups, GroupAdmin):
    may_be_asked = ("id", "name")


@admin.register(User)
class SiteUserAdmin(SignOutUsersMixin, ChecksLookups, UserAdmin):
    may_be_asked = (
        "id", "username", "first_name", "last_name", "email", "is_active", "is_staff",
        "is_superuser", "groups", "groups__id", "last_login", "date_joined",
    )  # fmt: skip
