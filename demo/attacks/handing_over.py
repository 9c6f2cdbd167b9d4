"""A copied cookie during a switch of engines."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.exceptions import InvalidSessionKey
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.caches.generic import INVALID_KEY
from cookieproj.engines.constants import DB, FILE
from cookieproj.engines.engine_registry import EngineRef, same_named_subclass
from cookieproj.engines.handover import build_handover_between
from cookieproj.engines.handover.cookie_to_server import key_from_cookie
from demo.temporary_user import temporary_user

from .registry import Trial, attempt
from .targets import (
    IN_COOKIES,
    cookie_name,
    djangos_and_ours,
    is_signed_in,
    replay,
    running_name,
    sign_out,
    signed_in_session,
    title,
)

# The folder of the block that ``switches`` runs.
temporary_folder: ContextVar[str] = ContextVar("temporary_folder")

# The engines cache what they find out about a class, so each class here is made once.


@cache
def in_temporary_folder(engine: type[SessionBase]) -> Any:
    """Return the engine ``file`` with its sessions in ``temporary_folder``."""
    get_storage_path = classmethod(lambda cls: temporary_folder.get())
    return same_named_subclass(engine, _get_storage_path=get_storage_path)


@dataclass(frozen=True)
class InTemporaryFolder(EngineRef):
    """The engine ``file``, in another folder than SESSION_FILE_PATH."""

    @property
    def store(self) -> Any:
        return in_temporary_folder(self.session_class)


def name_before_switch() -> str:
    """Return the name of the engine that the running one is switched to from."""
    return DB if running_name() == FILE else FILE


@contextmanager
def switches() -> Iterator[list[tuple[EngineRef, EngineRef]]]:
    """Yield pairs of the engine before a switch and the running one: Django's and ours in turn.

    The sessions of ``file`` before the switch are in a temporary folder.
    """
    new = djangos_and_ours(running_name())
    old: tuple[EngineRef, ...] = djangos_and_ours(name_before_switch())
    if name_before_switch() == FILE:
        old = tuple(InTemporaryFolder(engine.path) for engine in old)
    pairs = list(zip(old, new, strict=True))
    if running_name() not in IN_COOKIES:
        pairs += zip(djangos_and_ours(cookie_name()), new, strict=True)
    with TemporaryDirectory() as folder:
        token = temporary_folder.set(folder)
        try:
            yield pairs
        finally:
            temporary_folder.reset(token)


def handover_class(old: EngineRef, new: EngineRef) -> Any:
    """Return the new engine's class after a switch: ours with SESSION_HANDOVER_FROM set to the old.

    Django's engines have no handover.
    """
    return new.store if new.is_djangos else cached_handover_class(old, new, old.store, new.store)


@lru_cache
def cached_handover_class(
    old: EngineRef, new: EngineRef, old_store: Any, new_store: type[SessionBase]
) -> Any:
    """Return the class. It is made anew if a setting has changed the engines' classes."""
    return handover_class_of(old, new, new_store)


def handover_class_of(old: EngineRef, new: EngineRef, new_store: type[SessionBase]) -> Any:
    """Return a class of the new engine that also takes over the sessions of the old one."""
    session_class, compose = build_handover_between(new_store, old, new)
    if compose is None:
        return session_class
    both = property(lambda session: compose(session.make_store()))
    return same_named_subclass(session_class, _store=both)


@contextmanager
def deleting_copies(new: EngineRef, key: str) -> Iterator[None]:
    """Delete after the block what a handover leaves under the key in the new store."""
    try:
        yield
    finally:
        # The second is the key of the entry that marks a cookie as exchanged.
        for name in (key, key_from_cookie(key, settings.SECRET_KEY)):
            # The store cannot have an entry of that name: of a whole cookie, for example.
            with suppress(InvalidSessionKey, *INVALID_KEY):
                new.store().delete(name)


def outcome_of_switch(stayed_signed_in: bool) -> str:
    if stayed_signed_in:
        return _("The owner stayed signed in until the sign-out. The copy is no longer signed in.")
    return _("The switch has signed out everybody: the owner, and the copy too.")


@attempt(
    gettext_lazy("Replay a cookie after a switch"),
    gettext_lazy(
        "Somebody has copied a session cookie. The site switches to another engine, the owner "
        "signs out there, and the copy is sent: to the new engine, and then to the old one, "
        "because the site switches back."
    ),
    gettext_lazy("The attacker uses a session that its owner has ended on the new engine."),
    gettext_lazy(
        "With Django's engines a switch signs everybody out, and leaves each session where it "
        "was: after a switch back, the cookie from before opens a session that its owner believes "
        "to have ended. Our engines hand sessions over: the owner stays signed in, and signing "
        "out ends the session in both stores. If the old engine kept it in a cookie, the site "
        "lists it as ended, and refuses it."
    ),
)
def replay_after_a_switch() -> Iterator[Trial]:
    with switches() as pairs:
        for old, new in pairs:
            after_switch, switched_back = handover_class(old, new), handover_class(new, old)
            with temporary_user() as user, signed_in_session(old.store, user) as session:
                copied_key = session.session_key
                with deleting_copies(new, copied_key):
                    owners = after_switch(copied_key)
                    stayed_signed_in = is_signed_in(owners, user)
                    with deleting_copies(new, str(owners.session_key)):
                        sign_out(owners, new)
                        names = {"old": title(old), "new": new.name}
                        target = _("%(old)s, switched to %(new)s") % names
                        trial = replay(target, after_switch(copied_key), user)
                        if trial.withstood:
                            trial = replace(trial, outcome=outcome_of_switch(stayed_signed_in))
                        yield trial
                        target = _("%(old)s, switched to %(new)s and back") % names
                        yield replay(target, switched_back(copied_key), user)
