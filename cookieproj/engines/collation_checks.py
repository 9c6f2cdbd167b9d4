"""A system check of MariaDB's and MySQL's tables, registered on import, as in ``checks``."""

from collections.abc import Sequence
from typing import Any

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.core.checks import CheckMessage, Tags, register
from django.core.checks import Warning as CheckWarning
from django.db import Error, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext as _

from .checks import engine_or_none
from .sql_texts import column_of

# Parts of the names of collations that do not ignore case.
EXACT_COLLATIONS = {"bin", "binary", "cs"}

COLUMN = (
    "SELECT collation_name, column_type FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name = %s AND column_name = %s"
)
MODIFY = "ALTER TABLE {table} MODIFY {column} {type} COLLATE utf8mb4_bin NOT NULL;"


@register(Tags.database)
def session_keys_differ_by_case(
    *, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Warn if the column of the session keys ignores case.

    Our engines compare keys exactly all the same; Django's engines and other code do not. This
    accesses the database, so it runs on request, and with ``migrate``.
    """
    model = _session_model()
    if model is None or (alias := router.db_for_write(model)) not in (databases or ()):
        return []
    connection, column = connections[alias], column_of(model, "session_key")
    collation, column_type = _collation_and_type(connection, model._meta.db_table, column)
    if not collation or EXACT_COLLATIONS & set(collation.split("_")):
        return []
    text = _(
        "The column %(column)s of the table %(table)s has the collation %(collation)s, which "
        "ignores case: Django's engines accept a session key in capitals."
    ) % {"column": column, "table": model._meta.db_table, "collation": collation}
    quote = connection.ops.quote_name
    statement = MODIFY.format(
        table=quote(model._meta.db_table), column=quote(column), type=column_type
    )
    return [CheckWarning(text, hint=statement, id="engines.W012")]


def _session_model() -> Any:
    """Return the model of the running engine's rows; None if it has none."""
    engine: Any = engine_or_none()
    if not (engine and issubclass(engine, DatabaseStore)):
        return None
    try:
        return engine.get_model_class()
    except RuntimeError:
        # Its app is not installed, which another check reports.
        return None


def _collation_and_type(
    connection: BaseDatabaseWrapper, table: str, column: str
) -> tuple[str, str]:
    """Return two empty texts if there is no such column, or no such database."""
    if connection.vendor != "mysql":
        return "", ""
    try:
        with connection.cursor() as cursor:
            cursor.execute(COLUMN, [table, column])
            return cursor.fetchone() or ("", "")
    except Error:
        return "", ""
