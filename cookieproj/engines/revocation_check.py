"""SESSION_REVOCATION_CHECK: the site's function that refuses sessions which it has ended."""

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from .merge import Data
from .quick_settings import setting_or

Check = Callable[[Data, str], bool]

# By dotted path: the function there, which can be called and is no coroutine function.
_known: dict[str, Check] = {}


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
    path = setting_or("SESSION_REVOCATION_CHECK", "")
    return function_at(str(path)) if path else None


def function_at(path: str) -> Check:
    """Return the function. It is imported anew each time, as a test or a patch may replace it."""
    try:
        function: Any = import_string(path)
    except (ImportError, TypeError, ValueError, RuntimeError) as error:
        # The module's name is empty or relative, or its app is not installed.
        raise ImproperlyConfigured(not_callable_message(path, str(error))) from error
    if path in _known and function is _known[path]:
        return _known[path]
    if not callable(function):
        raise ImproperlyConfigured(not_callable_message(path, _("it cannot be called")))
    if iscoroutinefunction(function):
        raise ImproperlyConfigured(not_callable_message(path, _("it is a coroutine function")))
    _known[path] = function
    return _known[path]


def not_callable_message(path: str, reason: str) -> str:
    text = _(
        "SESSION_REVOCATION_CHECK = %(path)r is not a function that can be called: %(reason)s."
    )
    return text % {"path": path, "reason": reason}
