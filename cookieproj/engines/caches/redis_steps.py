"""How Redis and Valkey compare an entry and change it: by a command, a script or a transaction.

Each step lists its commands, the best one first. A server returns its name and version to HELLO,
which redis-py sends on connecting, by default since version 8, else with ``protocol=3``. Without
HELLO, scripts are used. A command that a server refuses is not tried there again for some minutes.
If none is left, a transaction makes the change in three round trips instead of one.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from redis import VERSION, ConnectionPool
from redis.utils import str_if_bytes

# Whether this version of redis-py keeps the reply to HELLO.
HAS_HANDSHAKE_METADATA = VERSION >= (6,)

# Seconds after which a server's version is read again and refused commands are tried again: it may
# have been upgraded, or its user been granted the right.
SERVER_TTL = 600

# A server's name, and the first version that has the command.
Servers = Mapping[str, tuple[int, int]]


class Command(NamedTuple):
    """A command that changes an entry if its value is ``old``.

    ``words`` takes the entry's name, its old value and the step's arguments. ``refused`` is a
    pattern for the class name and text of the error if the server lacks or forbids the command.
    """

    title: str
    words: Callable[..., tuple[Any, ...]]
    refused: str
    servers: Servers | None = None

    def is_refused(self, error: BaseException | None) -> bool:
        return bool(re.search(self.refused, f"{type(error).__name__} {error}", re.IGNORECASE))


class Step(NamedTuple):
    """A change of one entry: its commands, and a function that adds it to a transaction."""

    commands: tuple[Command, ...]
    in_transaction: Callable[..., Any]


def forbidden_or_unknown(command: str) -> str:
    # The last is an error of redis-py's, if the node of a cluster that it has asked is older.
    return (
        f"NoPermissionError.*'{command}'|unknown command.*{command}|{command} command doesn't exist"
    )


def script(text: str) -> Command:
    """Return the command of a script. ARGV has the old value of KEYS[1] and the step's arguments.

    It is sent whole, by EVAL. With EVALSHA the first save after each restart of the server would
    take three round trips.
    """

    def words(name: str, old: bytes, *arguments: Any) -> tuple[Any, ...]:
        return ("EVAL", text, 1, name, old, *arguments)

    return Command("EVAL", words, forbidden_or_unknown("eval"))


SET_IFEQ = Command(
    "SET IFEQ",
    lambda name, old, payload, seconds: ("SET", name, payload, "IFEQ", old, "EX", seconds),
    "syntax error",
    {"valkey": (8, 1), "redis": (8, 4)},
)
DELIFEQ = Command(
    "DELIFEQ",
    lambda name, old: ("DELIFEQ", name, old),
    forbidden_or_unknown("delifeq"),
    {"valkey": (9, 0)},
)
DELEX = Command(
    "DELEX",
    lambda name, old: ("DELEX", name, "IFEQ", old),
    forbidden_or_unknown("delex"),
    {"redis": (8, 4)},
)

# Arguments: the new value, and its seconds to live, at least 1.
SWAP = Step(
    (
        SET_IFEQ,
        script(
            "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
            "return redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])"
        ),
    ),
    lambda transaction, name, payload, seconds: transaction.set(name, payload, ex=seconds),
)

# Argument: the seconds to live. EXPIRE deletes the entry if they are not positive. SET IFEQ would
# send and store the value again.
TOUCH = Step(
    (
        script(
            "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
            "return redis.call('EXPIRE', KEYS[1], ARGV[2])"
        ),
    ),
    lambda transaction, name, seconds: transaction.expire(name, seconds),
)

DELETE = Step(
    (
        DELIFEQ,
        DELEX,
        script(
            "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
            "return redis.call('DEL', KEYS[1])"
        ),
    ),
    lambda transaction, name: transaction.delete(name),
)


@dataclass
class Server:
    """The server of a connection pool, and the commands that it has refused."""

    name: str
    version: tuple[int, ...]
    refused: set[str] = field(default_factory=set)
    known_since: float = field(default_factory=time.monotonic)

    @property
    def is_outdated(self) -> bool:
        return time.monotonic() - self.known_since > SERVER_TTL

    def best_command(self, step: Step) -> Command | None:
        """Return the first command of the step that this server has; None if none is left."""
        for command in step.commands:
            if command.title in self.refused:
                continue
            first_version = command.servers.get(self.name) if command.servers else ()
            if first_version is not None and self.version >= first_version:
                return command
        return None


known_servers: WeakKeyDictionary[ConnectionPool, Server] = WeakKeyDictionary()


def hello_of(pool: ConnectionPool) -> Mapping[Any, Any]:
    """Return the reply to the HELLO of a connection; empty if none was sent."""
    connection = pool.get_connection()
    try:
        return connection.handshake_metadata or {}
    finally:
        pool.release(connection)


def server_of(pool: ConnectionPool) -> Server:
    """Return the server of that pool."""
    server = known_servers.get(pool)
    if server is None or server.is_outdated:
        hello = hello_of(pool) if HAS_HANDSHAKE_METADATA else {}
        properties = {str_if_bytes(name): str_if_bytes(value) for name, value in hello.items()}
        version = tuple(map(int, re.findall(r"\d+", properties.get("version", ""))))
        server = known_servers[pool] = Server(properties.get("server", ""), version)
    return server
