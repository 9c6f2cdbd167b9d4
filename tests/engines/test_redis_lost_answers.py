"""An answer of Redis gets lost or is late, a server changes its role, or the process forks.

The command may have been executed. It is not sent again, and its answer is not taken for that of
another command.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis

from cookieproj.engines.cache import SessionStore
from cookieproj.engines.exceptions import StoreUnavailableError
from tests import servers
from tests.conftest import start
from tests.proxy import Proxy, proxied
from tests.servers import StoppableRedis

from .test_redis_commands import changed_session, create_session
from .test_redis_direct import Use, use

__all__ = ["use"]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with proxied(("127.0.0.1", urlsplit(redis_url).port or 0)) as proxy:
        yield proxy


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[StoppableRedis]:
    """A server that a test can stop."""
    redis = StoppableRedis(tmp_path)
    redis.start()
    yield redis
    redis.kill()


def test_save_whose_answer_is_lost_is_not_sent_again(use: Use, proxy: Proxy) -> None:
    use(f"redis://127.0.0.1:{proxy.port}")
    key, other = create_session(n=1), create_session(n=10)
    for number in (2, 3):
        session = changed_session(key)
        proxy.drop_answer()
        with pytest.raises(StoreUnavailableError):
            session.save()
        assert proxy.answers == 1
        assert SessionStore(other)["n"] == 10
        assert SessionStore(key)["n"] == number


def test_read_whose_answer_is_lost_is_not_sent_again(use: Use, proxy: Proxy) -> None:
    use(f"redis://127.0.0.1:{proxy.port}")
    key, other = create_session(n=1), create_session(n=10)
    proxy.drop_answer()
    with pytest.raises(StoreUnavailableError):
        SessionStore(key).load()
    assert proxy.answers == 1
    assert SessionStore(other)["n"] == 10


@pytest.mark.parametrize(("method", "command"), [("load", "get"), ("save", "eval")])
def test_late_answer_is_for_nobody(
    use: Use, redis: StoppableRedis, method: str, command: str
) -> None:
    """The server answers after the time-out, to a command that was sent once."""
    use(f"{redis.url}/0?socket_timeout=0.2")
    key, other = create_session(n=1), create_session(n=10)
    session = changed_session(key) if method == "save" else SessionStore(key)
    with Redis(port=redis.port) as admin:
        admin.config_resetstat()
        redis.freeze()
        with pytest.raises(StoreUnavailableError, match="Timeout reading"):
            getattr(session, method)()
        redis.thaw()
        while f"cmdstat_{command}" not in (commands := admin.info("commandstats")):
            pass
        assert commands[f"cmdstat_{command}"]["calls"] == 1
        assert SessionStore(other)["n"] == 10
        assert SessionStore(key)["n"] == (2 if method == "save" else 1)


def test_each_thread_reads_its_own_session_while_connections_break(
    use: Use, redis_url: str
) -> None:
    use(redis_url)
    stopped = threading.Event()

    keys = [create_session(n=number) for number in range(4)]

    def visit(number: int) -> int:
        right = 0
        while not stopped.is_set() or not right:
            with suppress(StoreUnavailableError):
                assert SessionStore(keys[number])["n"] == number
                right += 1
        return right

    with Redis.from_url(redis_url) as admin, ThreadPoolExecutor(len(keys)) as threads:
        visits = [threads.submit(visit, number) for number in range(len(keys))]
        try:
            for _ in range(200):
                admin.client_kill_filter(_type="normal", skipme=True)
        finally:
            stopped.set()
        assert all(visit.result(timeout=60) for visit in visits)


def test_all_threads_leave_a_primary_that_has_become_a_replica(use: Use, tmp_path: Path) -> None:
    """One of them learns it by its write. The others only read."""
    with ExitStack() as stack:
        for name in ("old", "new"):
            (tmp_path / name).mkdir()
        old, new = (
            urlsplit(start(stack, servers.redis(tmp_path / name))).port or 0
            for name in ("old", "new")
        )
        proxy = stack.enter_context(proxied(("127.0.0.1", old)))
        use(f"redis://127.0.0.1:{proxy.port}")
        key = create_session(n=1)
        reader = stack.enter_context(ThreadPoolExecutor(1))
        read = lambda: SessionStore(key)["n"]  # noqa: E731
        assert reader.submit(read).result() == 1
        admin = stack.enter_context(Redis(port=old, db=1))
        [name] = admin.keys()
        with Redis(port=new, db=1) as other:
            other.set(name, admin.get(name) or b"", ex=60)
        # It keeps what it has, as the new primary of its own is none.
        admin.replicaof("127.0.0.1", proxy.port + 1 if proxy.port < 65535 else 1)
        proxy.turn_to(("127.0.0.1", new))
        changed_session(key).save()
        assert reader.submit(read).result() == 2


FORKING = """
import os, threading, django
from django.conf import settings
django.setup()
from cookieproj.engines.cache import SessionStore
from cookieproj.engines.handover_mixin import store_of

def own():
    pool = store_of(SessionStore)._pool("")
    return {connection._sock.getsockname() for connection in pool._available_connections}

def read(key):
    return SessionStore(key)["n"]

keys = []
for number in range(2):
    session = SessionStore()
    session["n"] = number
    session.save()
    keys.append(session.session_key)
before = own()
ready, done = threading.Event(), threading.Event()
def visit():
    assert read(keys[0]) == 0
    ready.set()
    done.wait()
    assert read(keys[0]) == 0
thread = threading.Thread(target=visit)
if THREADS:
    thread.start()
    ready.wait()
children = []
for number in range(2):
    child = os.fork()
    if child == 0:
        for _ in range(100):
            assert read(keys[number]) == number
        assert own() and not own() & before
        os._exit(0)
    children.append(child)
for _ in range(100):
    assert read(keys[1]) == 1
done.set()
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
if THREADS:
    thread.join()
assert own() >= before
print("read")
"""


@pytest.mark.parametrize("with_threads", [False, True])
def test_forked_process_opens_its_own_connection(redis_url: str, with_threads: bool) -> None:
    """As gunicorn's workers do with --preload. The parent's connections stay as they are."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "cookieproj.settings.cache",
        "CACHE_URL": f"{redis_url}/2",
        "PYTHONWARNINGS": "ignore:This process:DeprecationWarning",
    }
    code = FORKING.replace("THREADS", str(with_threads))
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    # Nor is anything printed when the interpreter ends.
    assert (result.stdout, result.stderr, result.returncode) == ("read\n", "", 0)
