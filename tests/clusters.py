"""A Redis Cluster for the tests: three masters, each with the same number of replicas."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from .servers import StoppableRedis

MASTERS, SLOTS = 3, 16_384

# Seconds. A failover may have to be repeated.
TIMEOUT = 60


class Cluster:
    """The nodes. At first the masters come before the replicas."""

    def __init__(self, nodes: list[StoppableRedis]) -> None:
        self.nodes = nodes
        self._killed: StoppableRedis | None = None
        self.url = f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in nodes)}"

    def create(self) -> None:
        """Join the nodes, and wait until all slots are served."""
        masters, replicas = self.nodes[:MASTERS], self.nodes[MASTERS:]
        ids = [self._run(node, "CLUSTER MYID").decode() for node in masters]
        bounds = [SLOTS * number // MASTERS for number in range(MASTERS + 1)]
        for master, (first, end) in zip(masters, pairwise(bounds), strict=True):
            self._run(master, "CLUSTER ADDSLOTS", *range(first, end))
        for epoch, node in enumerate(self.nodes, start=1):
            self._run(node, "CLUSTER SET-CONFIG-EPOCH", epoch)
            self._run(self.nodes[0], "CLUSTER MEET", "127.0.0.1", node.port)
        self._wait(lambda: all(len(self._known_to(node)) == len(self.nodes) for node in self.nodes))
        for number, replica in enumerate(replicas):
            self._run(replica, "CLUSTER REPLICATE", ids[number % MASTERS])
        self._wait_until_complete()

    def kill_master(self) -> StoppableRedis:
        """Kill a master and return it."""
        self._killed = self._masters()[0]
        self._killed.kill()
        return self._killed

    def wait_for_failover(self) -> None:
        """Wait until all running nodes know the new master."""
        self._wait(lambda: self._is_ok() and len(self._masters()) == MASTERS)

    def restore(self) -> None:
        """Start the killed node, and wait until it is a replica."""
        if self._killed:
            killed, self._killed = self._killed, None
            killed.start()
        self._wait_until_complete()

    def flush(self) -> None:
        """Delete all data. A client of the cluster may not know the masters any more."""
        for master in self._masters():
            self._run(master, "FLUSHALL")

    def wait_until_replicated(self) -> None:
        """Wait until the replicas have all writes so far.

        Redis confirms a write before it is replicated, so a kill may lose the last writes.
        """
        offsets = {node: self._offset(node) for node in self._masters()}

        def is_replicated() -> bool:
            return all(
                replication[f"slave{number}"]["offset"] >= offset
                for node, offset in offsets.items()
                for replication in [self._replication(node)]
                for number in range(replication["connected_slaves"])
            )

        self._wait(is_replicated)

    def _wait_until_complete(self) -> None:
        """Wait until all slots are served and each replica is linked. A failover needs both."""
        replicas = len(self.nodes) - MASTERS

        def is_complete() -> bool:
            links = [self._replication(node).get("master_link_status") for node in self.nodes]
            # A restarted node may not know yet that it is a replica.
            return (
                self._is_ok() and links.count("up") == replicas and len(self._masters()) == MASTERS
            )

        self._wait(is_complete)

    @property
    def _running(self) -> list[StoppableRedis]:
        return [node for node in self.nodes if node is not self._killed]

    def _masters(self) -> list[StoppableRedis]:
        return [node for node in self._running if self._replication(node)["role"] == "master"]

    def _is_ok(self) -> bool:
        return all(
            self._run(node, "CLUSTER INFO")["cluster_state"] == "ok" for node in self._running
        )

    def _known_to(self, node: StoppableRedis) -> dict[str, Any]:
        nodes: dict[str, Any] = self._run(node, "CLUSTER NODES")
        return nodes

    def _offset(self, node: StoppableRedis) -> int:
        return int(self._replication(node)["master_repl_offset"])

    def _replication(self, node: StoppableRedis) -> dict[str, Any]:
        with Redis(port=node.port) as client:
            replication: Any = client.info("replication")
            return dict(replication)

    def _run(self, node: StoppableRedis, *command: Any) -> Any:
        with Redis(port=node.port) as client:
            return client.execute_command(*command)

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
def redis_cluster(
    folder: Path, *options: str, replicas: int = 0, kinds: Sequence[str] = ("",)
) -> Iterator[Cluster]:
    """A cluster with so many replicas of each master, of servers of those kinds in turn.

    The folder must be empty or missing.
    """
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        nodes = []
        for number in range(MASTERS * (1 + replicas)):
            node_folder = folder / f"{number}"
            node_folder.mkdir(parents=True)
            node = StoppableRedis(
                node_folder,
                # A new replica is synchronized at once. By default a master waits for others.
                *("--cluster-enabled", "yes", "--repl-diskless-sync-delay", "0", *options),
                kind=kinds[number % len(kinds)],
            )
            stack.callback(node.kill)
            nodes.append(node)
        list(pool.map(StoppableRedis.start, nodes))
        cluster = Cluster(nodes)
        cluster.create()
        yield cluster
