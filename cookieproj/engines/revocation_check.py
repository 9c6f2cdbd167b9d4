"""SESSION_REVOCATION_CHECK: the site's function that refuses sessions which it has ended."""

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
    """Whether the site refuses that session, whose signature is valid and which has not expired.

    Raises what the site's function raises, and ImproperlyConfigured if there is no such function:
    no session is opened without an answer.
    """
    check = revocation_check()
    return check is not None and bool(check(data, session_key))


def revocation_check() -> Check | None:
    """Return the function that SESSION_REVOCATION_CHECK names by its dotted path; None if unset.

    Raises ImproperlyConfigured if there is no such function.
    """
    path = str(getattr(settings, "SESSION_REVOCATION_CHECK", "") or "")
    if not path:
        return None
    try:
        function: Any = import_string(path)
    except (ImportError, TypeError, ValueError, RuntimeError) as error:
        # The module's name is empty or relative, or its app is not installed.
        raise ImproperlyConfigured(not_callable_message(path, str(error))) from error
    if not callable(function):
        raise ImproperlyConfigured(not_callable_message(path, _("it cannot be called")))
    if iscoroutinefunction(function):
        raise ImproperlyConfigured(not_callable_message(path, _("it is a coroutine function")))
    check: Check = function
    return check


def not_callable_message(path: str, reason: str) -> str:
    text = _(
        "SESSION_REVOCATION_CHECK = %(path)r is not a function that can be called: %(reason)s."
    )
    return text % {"path": path, "reason": reason}
