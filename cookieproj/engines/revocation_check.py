"""What a browser may bring back though the site has ended it: the site is asked."""

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from .merge import Data

Check = Callable[[Data, str], bool]


def is_revoked(data: Data, session_key: str) -> bool:
    """Whether the site refuses that session, which is signed and has not expired.

    Raises what the site's function raises, and ImproperlyConfigured where there is none of that
    name: no session is opened without an answer.
    """
    check = revocation_check()
    return check is not None and bool(check(data, session_key))


def revocation_check() -> Check | None:
    """The function that SESSION_REVOCATION_CHECK names by its dotted path; None without one.

    Raises ImproperlyConfigured where it names none.
    """
    path = str(getattr(settings, "SESSION_REVOCATION_CHECK", "") or "")
    if not path:
        return None
    try:
        found: Any = import_string(path)
    except (ImportError, TypeError, ValueError, RuntimeError) as error:
        # No module has such a name: an empty one, or a relative one. Or it is of an app that is
        # not installed.
        raise ImproperlyConfigured(not_callable_message(path, str(error))) from error
    if not callable(found):
        raise ImproperlyConfigured(not_callable_message(path, _("it cannot be called")))
    if iscoroutinefunction(found):
        raise ImproperlyConfigured(not_callable_message(path, _("it is a coroutine function")))
    check: Check = found
    return check


def not_callable_message(path: str, reason: str) -> str:
    return _("SESSION_REVOCATION_CHECK = %(path)r is no function to ask: %(reason)s.") % {
        "path": path,
        "reason": reason,
    }
