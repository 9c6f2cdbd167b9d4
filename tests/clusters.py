"""Redis Clusters for the tests: three masters, and as many replicas of each as a test wants."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from .servers import StoppableRedis

MASTERS, SLOTS = 3, 16_384

# Seconds: a failover may have to be tried again.
TOO_LONG = 60


class Cluster:
    """Its nodes, the masters first."""

    def __init__(self, nodes: list[StoppableRedis]) -> None:
        self.nodes = nodes
        self._killed: StoppableRedis | None = None
        self.url = f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in nodes)}"

    def unite(self) -> None:
        """Make a cluster of them. All of its slots are served when this ends."""
        masters, replicas = self.nodes[:MASTERS], self.nodes[MASTERS:]
        ids = [self._ask(node, "CLUSTER MYID").decode() for node in masters]
        bounds = [SLOTS * number // MASTERS for number in range(MASTERS + 1)]
        for master, first, end in zip(masters, bounds, bounds[1:], strict=False):
            self._ask(master, "CLUSTER ADDSLOTS", *range(first, end))
        for epoch, node in enumerate(self.nodes, start=1):
            self._ask(node, "CLUSTER SET-CONFIG-EPOCH", epoch)
            self._ask(self.nodes[0], "CLUSTER MEET", "127.0.0.1", node.port)
        self._wait(lambda: all(len(self._seen_by(node)) == len(self.nodes) for node in self.nodes))
        for number, replica in enumerate(replicas):
            self._ask(replica, "CLUSTER REPLICATE", ids[number % MASTERS])
        self.wait_until_whole()

    def kill_master(self) -> StoppableRedis:
        """The first that there is, at once."""
        self._killed = self._masters()[0]
        self._killed.kill()
        return self._killed

    def wait_for_another(self) -> None:
        """Until all that live know of it."""
        self._wait(lambda: self._is_ok() and len(self._masters()) == MASTERS)

    def make_whole(self) -> None:
        """With the one that was killed as a replica."""
        if self._killed:
            killed, self._killed = self._killed, None
            killed.start()
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Until all slots are served and each replica is linked: else nothing fails over."""
        replicas = len(self.nodes) - MASTERS

        def is_whole() -> bool:
            linked = [self._replication(node).get("master_link_status") for node in self.nodes]
            # A node that has just come back may still take itself for a master.
            return (
                self._is_ok() and linked.count("up") == replicas and len(self._masters()) == MASTERS
            )

        self._wait(is_whole)

    def wait_until_replicated(self) -> None:
        """Until what was written by now is on the replicas: a Redis answers before that."""
        offsets = {node: self._offset(node) for node in self._masters()}

        def is_replicated() -> bool:
            return all(
                told[f"slave{number}"]["offset"] >= offset
                for node, offset in offsets.items()
                for told in [self._replication(node)]
                for number in range(told["connected_slaves"])
            )

        self._wait(is_replicated)

    @property
    def _living(self) -> list[StoppableRedis]:
        return [node for node in self.nodes if node is not self._killed]

    def _masters(self) -> list[StoppableRedis]:
        return [node for node in self._living if self._replication(node)["role"] == "master"]

    def _is_ok(self) -> bool:
        return all(
            self._ask(node, "CLUSTER INFO")["cluster_state"] == "ok" for node in self._living
        )

    def _seen_by(self, node: StoppableRedis) -> dict[str, Any]:
        seen: dict[str, Any] = self._ask(node, "CLUSTER NODES")
        return seen

    def _offset(self, node: StoppableRedis) -> int:
        return int(self._replication(node)["master_repl_offset"])

    def _replication(self, node: StoppableRedis) -> dict[str, Any]:
        with Redis(port=node.port) as client:
            told: Any = client.info("replication")
            return dict(told)

    def _ask(self, node: StoppableRedis, *command: Any) -> Any:
        with Redis(port=node.port) as client:
            return client.execute_command(*command)

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
def redis_cluster(
    folder: Path, *options: str, replicas: int = 0, kind: str = ""
) -> Iterator[Cluster]:
    """A cluster in a new folder, with so many replicas of each master."""
    with ExitStack() as stack, ThreadPoolExecutor() as together:
        nodes = []
        for number in range(MASTERS * (1 + replicas)):
            own = folder / f"{number}"
            own.mkdir(parents=True)
            node = StoppableRedis(
                own,
                # A new replica is served at once, not with others that may come.
                *("--cluster-enabled", "yes", "--repl-diskless-sync-delay", "0", *options),
                kind=kind,
            )
            stack.callback(node.kill)
            nodes.append(node)
        list(together.map(StoppableRedis.start, nodes))
        cluster = Cluster(nodes)
        cluster.unite()
        yield cluster
