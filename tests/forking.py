"""A process that has imported the site's packages, and forks to run commands.

Importing them takes most of a command's time. ``python -m tests.forking NUMBER`` serves requests
from the socket with that number. A request contains a script or code, its arguments, its
environment, and the files for its output. The response is its exit code. Before the fork, no module
of the site is imported and no variable is read.
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

# Modules that read no settings when they are imported.
PRELOADED = [
    *("django.core.management.commands.check", "django.core.management.commands.migrate"),
    *("django.contrib.auth.hashers", "django.contrib.sessions.backends.base", "django.forms"),
    *("django.contrib.staticfiles.finders", "django.core.cache.backends.memcached"),
    *("django.db.backends.sqlite3.base", "django.db.migrations.autodetector", "django.test"),
    *("django.middleware.cache", "django.views.i18n"),
    *("django_redis.cache", "environ", "pymemcache", "pygments.formatters.html"),
    *("pygments.lexers.python", "redis.sentinel", "ua_parser", "whitenoise.middleware"),
]

# Variables that the interpreter reads when it starts. LANGUAGE_CODE is not one of them.
READ_AT_START = re.compile(r"PYTHON.*|LC_.*|LANG|LANGUAGE")


class Forks:
    """Runs Python scripts and code in forks of one process."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the working folder."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=folder,
                env={"PATH": os.environ["PATH"]},
                pass_fds=[theirs.fileno()],
            )
        self._socket = ours

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script or, after ``-c``, code, with only these environment variables."""
        with TemporaryFile() as out, TemporaryFile() as err:
            request = json.dumps([arguments, environment]).encode()
            socket.send_fds(self._socket, [request], [out.fileno(), err.fileno()])
            returned = int(self._socket.recv(100))
            output = [(file.seek(0), file.read().decode())[1] for file in (out, err)]
        return subprocess.CompletedProcess(arguments, returned, *output)

    def end(self) -> None:
        self._socket.close()
        self._process.wait(timeout=60)


def serve(requests: socket.socket) -> None:
    """Serve requests until the socket is closed."""
    while True:
        request, files, *_ = socket.recv_fds(requests, 1_000_000, 2)
        if not request:
            return
        arguments, environment = json.loads(request)
        # It ends without destroying the imported modules.
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
    for name in PRELOADED:
        importlib.import_module(name)
    # A collection in a fork would copy the memory of these objects.
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
