"""How a statement is sent by psycopg."""

from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import TIMESTAMPTZ_OID, Cursor
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format, PipelineStatus, TransactionStatus

from .own_functions import OwnFunctions
from .sql_drivers import Answer, Driver
from .sql_prepared import answer, is_outdated, prepared_statements

CURSOR_CLASS: Any = Cursor
CURSOR_METHODS = OwnFunctions([psycopg.Connection.cursor, CURSOR_CLASS.execute], psycopg)

SUCCESS = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class Psycopg(Driver):
    """Sends the values beside the statement, which saves putting them into its text.

    It waits as psycopg's cursor does, so that signals and gevent interrupt it.
    """

    def is_ready(self, connection: BaseDatabaseWrapper) -> bool:
        driver_connection = connection.connection
        low_level = driver_connection.pgconn
        dates: Any = driver_connection.adapters.get_loader(TIMESTAMPTZ_OID, Format.TEXT)
        return bool(
            driver_connection.cursor_factory is CURSOR_CLASS
            and driver_connection.autocommit
            and "cursor" not in vars(driver_connection)
            and CURSOR_METHODS.are([psycopg.Connection.cursor, CURSOR_CLASS.execute])
            and low_level.transaction_status == TransactionStatus.IDLE
            and low_level.pipeline_status == PipelineStatus.OFF
            and dates.timezone == connection.timezone
        )

    def send(self, driver_connection: Any, sql: str, parameters: Sequence[Any]) -> Answer:
        text, values = numbered(sql), [str(value).encode() for value in parameters]
        with driver_connection.lock:
            result = self._execute(driver_connection, text, values)
        if result.status not in SUCCESS:
            raise error_from_result(result)
        transformer = Transformer(driver_connection)
        transformer.set_pgresult(result)
        rows = transformer.load_rows(0, result.ntuples, tuple)
        return Answer(rows, result.command_tuples or 0)

    def _execute(self, driver_connection: Any, text: bytes, values: list[bytes]) -> Any:
        """Execute the statement, prepared if the site allows that."""
        low_level = driver_connection.pgconn
        if driver_connection.prepare_threshold is not None:
            statements = prepared_statements(driver_connection)
            if name := statements.name_of(driver_connection, text):
                low_level.send_query_prepared(name, values)
                result = answer(driver_connection)
                if not is_outdated(result):
                    return result
                statements.forget(driver_connection, text)
        low_level.send_query_params(text, values)
        return answer(driver_connection)


@cache
def numbered(sql: str) -> bytes:
    """Return the statement with PostgreSQL's own placeholders: $1, $2."""
    numbers = count(1)
    first, *parts = sql.split("%s")
    return "".join([first, *(f"${next(numbers)}{part}" for part in parts)]).encode()
