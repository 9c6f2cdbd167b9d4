from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager

from cookieproj.devices.primary_manager import PrimaryManager
from cookieproj.devices.user_mixin import SignOutEverywhereMixin


class SiteUserManager(PrimaryManager["User"], UserManager["User"]):
    use_in_migrations = False


class User(SignOutEverywhereMixin, AbstractUser):
    """Django's user, with a counter that ends all of the user's sessions."""

    objects: ClassVar[SiteUserManager] = SiteUserManager()

    class Meta(AbstractUser.Meta):
        pass
