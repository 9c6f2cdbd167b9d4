"""The accounts of ``manage.py demodata``, as the sign-in pages show them."""

from django.conf import settings
from django.utils.functional import lazy
from django.utils.translation import gettext as _

from .models import User

# A public password is safe, because these accounts are created only while DEBUG is on.
PASSWORD = "cookies"  # noqa: S105
# Whether each account is an admin.
ACCOUNTS = {"admin": True, "ada": False, "grace": False}
# The account with which the sign-in recipes are filled in.
VISITOR = "ada"


def hint() -> str:
    """Return a sentence with the demo accounts that exist; "" if there is none or DEBUG is off."""
    if not settings.DEBUG:
        return ""
    users = User.objects.filter(username__in=ACCOUNTS).order_by("pk")
    names = [user.get_username() for user in users]
    if not names:
        return _("There is no demo account: manage.py demodata creates some.")
    return _("Demo accounts: %(names)s. Password: %(password)s.") % {
        "names": " · ".join(names),
        "password": PASSWORD,
    }


def credentials() -> dict[str, str]:
    """Return the username and password of a demo account; {} if it is missing or DEBUG is off."""
    if not settings.DEBUG or not User.objects.filter(username=VISITOR).exists():
        return {}
    return {"username": VISITOR, "password": PASSWORD}


lazy_hint = lazy(hint, str)
