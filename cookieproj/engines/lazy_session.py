"""The session of a request that may not need it: it is created when it is first used."""

import operator
from collections.abc import Callable
from typing import Any
from weakref import ref

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, parse_cookie

from .admission import ADMISSION_ATTRIBUTE, Admission
from .async_methods import is_on_event_loop
from .handover.cookie_to_server import CookieToServer
from .handover.server_to_cookie import ServerToCookie
from .quick_settings import setting
from .session_keys import SessionKeys
from .signed_ids import open_session

SAVED_WITH_RESPONSE = (SessionKeys, ServerToCookie)


class LazySession:
    """Stands for a request's session, which is created for whatever is asked of it.

    Only the questions whether it was read or changed create none: it was not. With the creation
    the session itself replaces this on the request.

    It refers to the request weakly, so that the request is freed as soon as it is over. If it is
    gone when the session is first used, the cookie is read from ``META``, and the admission that
    the request had is asked.
    """

    __slots__ = ("__weakref__", "_arguments", "_created")

    # Of ``create_session``, and what it returned.
    _arguments: tuple[type[SessionBase], ref[HttpRequest], dict[str, Any], Admission | None]
    _created: SessionBase | None

    def __init__(self, session_class: type[SessionBase], request: HttpRequest) -> None:
        admission = getattr(request, ADMISSION_ATTRIBUTE, None)
        arguments = session_class, ref(request), request.META, admission
        object.__setattr__(self, "_arguments", arguments)
        object.__setattr__(self, "_created", None)

    @property
    def accessed(self) -> bool:
        return self._created is not None and self._created.accessed

    @property
    def modified(self) -> bool:
        return self._created is not None and self._created.modified

    @property  # type: ignore[misc] # a lazy object has the class of what it stands for
    def __class__(self) -> type:
        """Also of the session, for ``isinstance``."""
        return created(self).__class__

    def __getattr__(self, name: str) -> Any:
        return getattr(created(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(created(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(created(self), name)


def created(lazy: LazySession) -> SessionBase:
    """Return the session that it stands for; create it if that is not done."""
    if lazy._created is None:
        object.__setattr__(lazy, "_created", create_session(*lazy._arguments))
    session: SessionBase = lazy._created  # type: ignore[assignment]
    return session


def forwarding(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that applies the operation to the session."""

    def method(self: LazySession, *arguments: Any) -> Any:
        return operation(created(self), *arguments)

    return method


# Python looks these up on the class. The last one is for copies and pickles.
OPERATIONS: dict[str, Callable[..., Any]] = {
    "__getitem__": operator.getitem,
    "__setitem__": operator.setitem,
    "__delitem__": operator.delitem,
    "__contains__": operator.contains,
    "__iter__": iter,
    "__len__": len,
    "__bool__": bool,
    "__eq__": operator.eq,
    "__hash__": hash,
    "__repr__": repr,
    "__str__": str,
    "__reduce_ex__": lambda session, protocol: session.__reduce_ex__(protocol),
}
for name, operation in OPERATIONS.items():
    setattr(LazySession, name, forwarding(operation))


def is_lazy(request: HttpRequest) -> bool:
    """Whether the request has a session that nothing has used."""
    session = getattr(request, "session", None)
    return type(session) is LazySession and session._created is None


def create_session(
    session_class: type[SessionBase],
    request_ref: ref[HttpRequest],
    meta: dict[str, Any],
    admission: Admission | None,
) -> SessionBase:
    """Return the request's session, and set it in place of the lazy one."""
    request = request_ref()
    cookies = request.COOKIES if request else parse_cookie(meta.get("HTTP_COOKIE", ""))
    session = open_session(session_class, cookies.get(setting("SESSION_COOKIE_NAME")))
    session.admission = admission  # type: ignore[attr-defined]
    if isinstance(session, SAVED_WITH_RESPONSE):
        session.save_follows = request is not None
    if request and is_lazy(request):
        request.session = session
    if isinstance(session, CookieToServer) and not is_on_event_loop():
        # On an event loop, which must not block, the cookie is exchanged when the session is read,
        # in a thread. It is not exchanged for requests that do not access their session: that would
        # set cookies on pages that caches share.
        session.exchange()
    return session
