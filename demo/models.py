from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager

from cookieproj.devices.primary_manager import PrimaryManager
from cookieproj.devices.user_mixin import SignOutEverywhereMixin


class Users(PrimaryManager["User"], UserManager["User"]):
    use_in_migrations = False


class User(SignOutEverywhereMixin, AbstractUser):
    """Django's, whose sessions can all be ended at once."""

    objects: ClassVar[Users] = Users()

    class Meta(AbstractUser.Meta):
        pass
