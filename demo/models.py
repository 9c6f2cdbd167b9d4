from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager

from cookieproj.devices.managers import ReadsWhatIsWritten
from cookieproj.devices.mixins import SignOutEverywhereMixin


class Users(ReadsWhatIsWritten["User"], UserManager["User"]):
    use_in_migrations = False


class User(SignOutEverywhereMixin, AbstractUser):
    """Django's, whose sessions can all be ended at once."""

    objects: ClassVar[Users] = Users()

    class Meta(AbstractUser.Meta):
        pass
