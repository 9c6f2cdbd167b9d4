"""A process that has imported what the site is built on, and forks: most of a command's time.

``python -m tests.forking NUMBER`` serves requests from the socket of that number. Each is what
Python is to run, with its arguments and its environment, and the files for what it says; the answer
is how it ended. Nothing of the site itself is imported before the fork, and no variable is read.
"""

import gc
import importlib
import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryFile

# Those that read no settings while they are imported.
IMPORTED = [
    *("django.core.management.commands.check", "django.core.management.commands.migrate"),
    *("django.contrib.auth.hashers", "django.contrib.sessions.backends.base", "django.forms"),
    *("django.contrib.staticfiles.finders", "django.core.cache.backends.memcached"),
    *("django.db.backends.sqlite3.base", "django.db.migrations.autodetector", "django.test"),
    *("django.middleware.cache", "django.views.i18n"),
    *("django_redis.cache", "environ", "pymemcache", "pygments.formatters.html"),
    *("pygments.lexers.python", "redis.sentinel", "ua_parser", "whitenoise.middleware"),
]

# The interpreter reads them as it starts: not LANGUAGE_CODE, which is the site's.
READ_AT_START = re.compile(r"PYTHON.*|LC_.*|LANG|LANGUAGE")


class Forks:
    """What else ``python`` would run, by forks of one process."""

    def __init__(self, folder: Path) -> None:
        """There is what they run."""
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(there.fileno())],
                cwd=folder,
                env={"PATH": os.environ["PATH"]},
                pass_fds=[there.fileno()],
            )
        self._socket = here

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A script or, after ``-c``, code, with nothing but these variables in its environment."""
        with TemporaryFile() as out, TemporaryFile() as err:
            request = json.dumps([arguments, environment]).encode()
            socket.send_fds(self._socket, [request], [out.fileno(), err.fileno()])
            returned = int(self._socket.recv(100))
            said = [(file.seek(0), file.read().decode())[1] for file in (out, err)]
        return subprocess.CompletedProcess(arguments, returned, *said)

    def end(self) -> None:
        self._socket.close()
        self._process.wait(timeout=60)


def serve(requests: socket.socket) -> None:
    """Until nobody can ask any more."""
    while True:
        request, files, *_ = socket.recv_fds(requests, 1_000_000, 2)
        if not request:
            return
        arguments, environment = json.loads(request)
        # Which ends without taking down all that was imported.
        process = get_context("fork").Process(
            target=become, args=(requests, arguments, environment, files)
        )
        process.start()
        for file in files:
            os.close(file)
        process.join()
        requests.send(str(process.exitcode).encode())


def become(
    requests: socket.socket, arguments: list[str], environment: dict[str, str], files: list[int]
) -> None:
    requests.close()
    os.environ.clear()
    os.environ.update(environment)
    for number, (name, file) in enumerate(zip(("stdout", "stderr"), files, strict=True), start=1):
        os.dup2(file, number)
        os.close(file)
        setattr(sys, name, open(number, "w", buffering=1, closefd=False))  # noqa: SIM115
        setattr(sys, f"__{name}__", getattr(sys, name))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = arguments
    if arguments[0] == "-c":
        code = sys.argv.pop(1)
        exec(code, {"__name__": "__main__"})
    else:
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    for name in IMPORTED:
        importlib.import_module(name)
    # What is never looked at is never copied.
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
