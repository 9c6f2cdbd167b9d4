"""The statements that psycopg's connections have prepared, if OPTIONS set ``prepare_threshold``.

PostgreSQL then parses and plans a statement once for each connection, not at each execution.
Django's default is not to prepare any, because of PgBouncer: before its version 1.21 the next
statement may be sent to another server, which has not prepared it.
"""

from collections import Counter
from hashlib import sha256
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import generators
from psycopg.pq import DiagnosticField, ExecStatus

# Classes of SQLSTATE. The server does not know the statement, as after DISCARD ALL; a migration has
# changed the type of a column in its result; or of one that a parameter is compared with or stored
# in, as the parameters have the types of before. In all of them nothing has been executed.
OUTDATED = {b"26", b"0A", b"42"}
ALREADY_PREPARED = b"42P05"


class PreparedStatements:
    """Those of one connection. A name is made of the text, so one name never means two texts."""

    def __init__(self, connection: Any) -> None:
        self._threshold: int = connection.prepare_threshold
        self._names: dict[bytes, bytes] = {}
        self._executions: Counter[bytes] = Counter()

    def name_of(self, connection: Any, text: bytes) -> bytes | None:
        """Return the name of that statement; None if it should be sent without preparing it.

        It is prepared now if it has been executed so often, as psycopg's own cursors do.
        """
        if text not in self._names:
            self._executions[text] += 1
            if self._executions[text] > self._threshold:
                self._prepare(connection, text)
        return self._names.get(text)

    def _prepare(self, connection: Any, text: bytes) -> None:
        name = b"cookieproj_" + sha256(text).hexdigest()[:16].encode()
        connection.pgconn.send_prepare(name, text)
        result = answer(connection)
        if result.status == ExecStatus.COMMAND_OK or sql_state(result) == ALREADY_PREPARED:
            self._names[text] = name

    def forget(self, connection: Any, text: bytes) -> None:
        """Send that statement without preparing it for a while, and then prepare it anew."""
        self._executions[text] = 0
        connection.pgconn.send_query(b"DEALLOCATE " + self._names.pop(text))
        # It fails if the server does not know the statement.
        answer(connection)


_of_connections: WeakKeyDictionary[Any, PreparedStatements] = WeakKeyDictionary()


def prepared_statements(connection: Any) -> PreparedStatements:
    """Return those of a psycopg connection whose ``prepare_threshold`` is not None."""
    statements = _of_connections.get(connection)
    if statements is None:
        statements = _of_connections[connection] = PreparedStatements(connection)
    return statements


def answer(connection: Any) -> Any:
    """Wait for the answer to what was sent, as psycopg's cursors do."""
    return connection.wait(generators.execute(connection.pgconn))[-1]


def is_outdated(result: Any) -> bool:
    """Whether the statement may have failed only because it was prepared."""
    return result.status == ExecStatus.FATAL_ERROR and (sql_state(result) or b"")[:2] in OUTDATED


def sql_state(result: Any) -> bytes | None:
    state: bytes | None = result.error_field(DiagnosticField.SQLSTATE)
    return state
