"""Sessions that are too large, and a store that is full."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.apps.registry import Apps
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.constants import DB
from cookieproj.engines.engine_registry import EngineRef, same_named_subclass
from cookieproj.engines.exceptions import CookieTooLargeError, StoreFullError
from demo.cookie_limits import BROWSER_LIMIT, ENGINE_LIMIT
from demo.wording import lazily_joined

from .registry import Trial, attempt
from .targets import djangos_and_ours, engines_to_try, temporary_session, title


@attempt(
    gettext_lazy("Send 5,000 bytes"),
    gettext_lazy("A session grows to 5,000 bytes that cannot be compressed."),
    gettext_lazy("The change is lost, and the response does not say so. No attacker is needed."),
    lazily_joined(
        [
            BROWSER_LIMIT,
            ENGINE_LIMIT,
            gettext_lazy(
                "For a larger cookie our engine raises an error if DEBUG is on, and otherwise logs "
                "it. A session on the server has no such limit, with Django's engine or ours."
            ),
        ]
    ),
)
def send_5000_bytes() -> Iterator[Trial]:
    text = get_random_string(5000)
    for engine in engines_to_try():
        try:
            with temporary_session(engine.store, text=text) as session:
                key = session.session_key
                is_complete = engine.store(key).get("text") == text
        except CookieTooLargeError as error:
            outcome = _("The response is an error: %(error)s") % {"error": error}
            yield Trial(title(engine), outcome, withstood=True)
            continue
        if engine.is_held_by_browser:
            message = (
                _("The cookie has %d bytes, and nothing reports it.")
                if engine.is_djangos
                else _("The cookie has %d bytes, and the log says so.")
            )
            yield Trial(title(engine), message % len(key), withstood=False)
        else:
            outcome = _("The next request reads all of it.") if is_complete else _("It is gone.")
            yield Trial(title(engine), outcome, withstood=is_complete)


class SmallSession(AbstractBaseSession):
    """A session in the small database. Its model is in no app, so the site has no such table."""

    class Meta(AbstractBaseSession.Meta):
        abstract = False
        app_label = "demo"
        apps = Apps()


@cache
def in_small_database(engine: EngineRef) -> Any:
    """Return the engine ``db`` with the rows of SmallSession."""
    get_model_class = classmethod(lambda cls: SmallSession)
    return same_named_subclass(engine.session_class, get_model_class=get_model_class)


@contextmanager
def small_database() -> Iterator[BaseDatabaseWrapper]:
    """Connect this thread to an SQLite file of its own, with a table of sessions, for the block.

    Within the block nothing may use the site's database.
    """
    using = {router.db_for_read(SmallSession), router.db_for_write(SmallSession)}
    connected = {alias: connections[alias] for alias in using}
    with TemporaryDirectory() as folder:
        sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(Path(folder) / "db.sqlite3")}
        [configured] = connections.configure_settings({DEFAULT_DB_ALIAS: sqlite}).values()
        backend = load_backend(sqlite["ENGINE"])
        database = backend.DatabaseWrapper(configured, router.db_for_write(SmallSession))
        try:
            for alias in using:
                connections[alias] = database
            with database.schema_editor() as editor:
                editor.create_model(SmallSession)
            yield database
        finally:
            for alias, connection in connected.items():
                connections[alias] = connection
            database.close()


@contextmanager
def full(database: BaseDatabaseWrapper) -> Iterator[None]:
    """Let the SQLite file not grow within the block."""
    with database.cursor() as cursor:
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
        largest = cursor.execute("PRAGMA max_page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        yield
        cursor.execute(f"PRAGMA max_page_count = {largest}")


def use_while_full(
    name: str, session_class: Any, store_is_full: AbstractContextManager[None]
) -> Iterator[Trial]:
    """Change a session, then sign out of it, while its store is full."""
    with temporary_session(session_class, color="blue") as session:
        key, error = session.session_key, None
        with store_is_full:
            late = session_class(key)
            late["text"] = get_random_string(20_000)
            try:
                late.save()
            except Exception as raised:  # noqa: BLE001 - each engine raises an error of its own
                error = raised
            is_kept = dict(session_class(key).items()) == {"color": "blue"}
            session_class(key).flush()
            is_signed_out = not session_class(key).items()
    if not is_kept:
        outcome = _("The session is lost.")
    elif error is None:
        outcome = _("Nothing reports that the change is lost.")
    elif isinstance(error, UpdateError):
        outcome = _("The response says that the session was deleted. It is still stored.")
    elif isinstance(error, StoreFullError):
        outcome = _("503, and the session stays. %(remedy)s") % {"remedy": error.remedy}
    else:
        outcome = _("500, and the session stays. %(error)s") % {"error": type(error).__name__}
    says_why = error is not None and not isinstance(error, UpdateError)
    target = _("%(engine)s, a change") % {"engine": name}
    yield Trial(target, outcome, withstood=is_kept and says_why)
    outcome = _("The session has ended.") if is_signed_out else _("The session has not ended.")
    target = _("%(engine)s, a sign-out") % {"engine": name}
    yield Trial(target, outcome, withstood=is_signed_out)


@attempt(
    gettext_lazy("Fill the store"),
    gettext_lazy(
        "The database is full: a small SQLite file, made for this attack, may not grow any more. "
        "A request changes its session, and another one signs out."
    ),
    gettext_lazy("A session is lost, a sign-out does not end it, or the error does not say why."),
    gettext_lazy(
        "When a session is saved again, Django takes every error of the database for a deleted "
        "session, and answers 400, as if another request had signed out. Our engine answers 503, "
        "and its error says that the store is full and what to do. Deleting needs no space, so a "
        "sign-out works with both."
    ),
)
def fill_the_store() -> Iterator[Trial]:
    for engine in djangos_and_ours(DB):
        with small_database() as database:
            session_class = in_small_database(engine)
            yield from use_while_full(title(engine), session_class, full(database))
