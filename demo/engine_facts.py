"""What an engine does with a session: found by storing one, and by the configuration of the store.

The comparison of the engines and the four questions both read it here.
"""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.cache import SessionStore as DjangoCacheEngine
from django.contrib.sessions.backends.cached_db import SessionStore as DjangoCachedDBEngine
from django.contrib.sessions.backends.file import SessionStore as DjangoFileEngine
from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from cookieproj.engines.benchmark.namespace import namespaced
from cookieproj.engines.benchmark.result_cache import cached_result
from cookieproj.engines.caches.memory import MemoryStore
from cookieproj.engines.constants import ENGINE_NAMES, OUR_ENGINES
from cookieproj.engines.engine_registry import EngineRef, resolve_engine
from cookieproj.engines.handover.same_store import share_rows
from cookieproj.engines.handover_mixin import store_of

from .attacks import temporary_session
from .decoding import SIGNED, as_text, decoding_steps
from .store_durability import Restart, ends_when_full, restart, session_cache

WITH_CACHE = (DjangoCacheEngine, DjangoCachedDBEngine)

# A value in a session that is looked for in the cookie.
COLOR = "blue as a berry"


@dataclass(frozen=True)
class EngineFacts:
    """Where a session is stored, and what its cookie and its stored bytes show.

    ``is_session`` is whether the cookie is the session itself, and ``is_readable`` whether it can
    be read without a secret. ``signed_copies`` has for each place of the session whether its bytes
    are made with SECRET_KEY; ``signed_after_restart`` has it for those that are not in the memory
    of this process. ``has_copy`` is whether a cache has a copy of the row, and ``copy_place`` that
    cache, "" on a public page. ``outlives_deletion`` is whether the cookie opens the session after
    the engine has deleted it. ``ends_when_full`` says when the store drops sessions before their
    end.
    """

    place: str
    copy_place: str
    has_copy: bool
    is_session: bool
    is_readable: bool
    signed_copies: list[bool]
    signed_after_restart: list[bool]
    outlives_deletion: bool
    ends_when_full: list[str]
    restart: Restart


def facts_of(engine: EngineRef) -> EngineFacts | None:
    """Return the facts of an engine, tried once; None if it is not known here.

    Django's engines have the facts of ours, which store the same bytes in the same places. Raises
    SessionStoreError if the store fails. The next call tries it again.
    """
    if engine.name not in ENGINE_NAMES:
        return None
    session_class = engine.of(OUR_ENGINES).session_class
    store = settings.CACHES.get(settings.SESSION_CACHE_ALIAS, {}).get("LOCATION", "")
    name = f"facts-{hash((engine.name, str(store), get_language(), settings.DEBUG))}"
    return cached_result(name, lambda: namespaced_facts(session_class), lambda _facts: True)


def engines_with_same_rows(engine: EngineRef) -> list[EngineRef]:
    """Return the other engines that open the sessions of this one, as both use the same rows."""
    others = [resolve_engine(name) for name in ENGINE_NAMES if name != engine.name]
    return [other for other in others if share_rows(other, engine.of(OUR_ENGINES))]


def namespaced_facts(session_class: type[SessionBase]) -> EngineFacts:
    with namespaced(session_class) as namespaced_class:
        return try_session(namespaced_class, session_class)


def try_session(session_class: Any, engine_class: Any) -> EngineFacts:
    """Store a session of the namespaced class of that engine, decode its cookie, and delete it."""
    with temporary_session(session_class, color=COLOR) as session:
        cookie = session.session_key
        locations = session.locate()
    steps = list(decoding_steps(cookie.encode()))
    is_session = any(COLOR in step.outcome for step in steps)
    # Not every cache can locate a session.
    place = locations[0].place if locations else store_of(engine_class).label
    if issubclass(engine_class, DjangoFileEngine):
        place = folder_of_site(engine_class)
    signed = [bool(SIGNED.fullmatch(as_text(location.payload))) for location in locations]
    signed_copies = [True] if is_session else signed or [False]
    has_copy = len(locations) > 1
    # The cache is the last place.
    loses_last = issubclass(engine_class, WITH_CACHE) and isinstance(session_cache(), MemoryStore)
    return EngineFacts(
        # A public page does not show where a server has its stores.
        place=str(place) if settings.DEBUG or is_session else _("the server"),
        copy_place=str(locations[-1].place) if has_copy and settings.DEBUG else "",
        has_copy=has_copy,
        is_session=is_session,
        is_readable=any(COLOR in step.outcome for step in steps if not step.needs_secret),
        signed_copies=signed_copies,
        signed_after_restart=signed_copies[:-1] if loses_last else signed_copies,
        outlives_deletion=session_class(cookie).get("color") == COLOR,
        ends_when_full=list(ends_when_full(session_class)),
        restart=restart(session_class),
    )


def folder_of_site(engine_class: Any) -> str | Promise:
    """Return the folder of the site, and if it is missing, that the trial has used another."""
    try:
        return store_of(engine_class).label
    except ImproperlyConfigured:
        text = _("folder %(folder)s, once it exists: this trial has used a temporary one")
        return text % {"folder": settings.SESSION_FILE_PATH}
