"""Sessions in a Redis Cluster, through redis-py's RedisCluster and django-redis."""

from collections.abc import Callable
from operator import methodcaller
from typing import Any, ClassVar

from django_redis.pool import ConnectionFactory
from redis import ConnectionPool, RedisCluster
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from cookieproj.engines.entries import ListedSession, Page
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.listing import Estimate

from .redis import DjangoRedisStore


class ClusterConnectionFactory(ConnectionFactory):  # type: ignore[misc]
    """Connects a cache of django-redis to a Redis Cluster.

    Set it as the CONNECTION_FACTORY in the cache's OPTIONS. LOCATION is the URL of one node. Its
    user, password and options are used for all nodes: ``rediss://user:password@host:6379``. The
    client asks that node for the others, or one of STARTUP_NODES, a list of (host, port).
    """

    # All threads share the client of a cluster, and so its connections.
    _clusters: ClassVar[dict[object, RedisCluster]] = {}

    def connect(self, url: str) -> Any:
        startup_nodes = tuple(self.options.get("STARTUP_NODES", ()))
        cluster = self._clusters.get((url, startup_nodes))
        if cluster is None:
            cluster = self._clusters[url, startup_nodes] = RedisCluster(
                startup_nodes=[ClusterNode(*node) for node in startup_nodes],  # type: ignore[no-untyped-call]
                # A command whose answer is lost may have been executed, so it is not repeated.
                retry=Retry(NoBackoff(), 0),
                # While some slots are not served, sessions in the others are.
                require_full_coverage=False,
                **self.make_connection_params(url),
                **self.pool_cls_kwargs,
            )
        return cluster

    def disconnect(self, connection: Any) -> None:
        connection.disconnect_connection_pools()


class RedisClusterStore(DjangoRedisStore):
    """Sessions spread over the nodes of a Redis Cluster. It has one database, number 0."""

    errors = (*DjangoRedisStore.errors, RedisClusterException)

    @property
    def label(self) -> str:
        # Not from the client: creating it connects to the cluster.
        node: dict[str, Any] = parse_url(self.cache.client._server[0])  # type: ignore[no-untyped-call]
        return f"{self.server_name} Cluster {node['host']}:{node.get('port', 6379)}"

    @property
    def kind(self) -> str:
        return "Redis Cluster"

    def _pool(self, name: str) -> ConnectionPool:
        return self._pool_of(self.client.get_node_from_key(name))

    def _pools(self) -> list[ConnectionPool]:
        return list(map(self._pool_of, self.client.get_primaries()))

    def _pool_of(self, node: Any) -> ConnectionPool:
        pool: ConnectionPool = self.client.get_redis_connection(node).connection_pool
        return pool

    def _call(self, command: Callable[[Any], Any]) -> Any:
        """Retry once if a node is unreachable and its replica has taken over."""
        try:
            return super()._call(command)
        except StoreUnavailableError as error:
            if not self._may_retry(error.__cause__):
                raise
        return super()._call(command)

    def _may_retry(self, error: BaseException | None) -> bool:
        """Whether the command was not sent, and the client has learned of a new primary.

        The error's ``connection`` is the node if connecting to it failed. The error of a pipeline
        has none, but pipelines only read.
        """
        node = getattr(error, "connection", None)
        if node is None:
            return isinstance(error, (RedisConnectionError, RedisTimeoutError))
        return isinstance(node, ClusterNode) and node not in self.client.get_primaries()

    def _retry_on_new_connection(self, write: Callable[[], Any]) -> Any:
        """Write once. A node that is no longer a primary redirects to the new one (MOVED)."""
        return write()

    def page(self, position: str, size: int) -> Page:
        """Scan node after node.

        The position is the first slot of a node, the node's address and its cursor. A node that has
        taken over is scanned from the beginning, as a cursor is valid only on the node that
        returned it.
        """
        first_slot, address, cursor = position.split() if position else ("0", "", "")
        shards = [shard for shard in self._shards() if shard[0] >= int(first_slot)]
        listed: list[ListedSession] = []
        for (slot, node), following in zip(shards, [*shards[1:], None], strict=True):
            page = self._page_of(node, cursor if node.name == address else "", size - len(listed))
            listed += page.sessions
            if page.next:
                return Page(listed, f"{slot} {node.name} {page.next}")
            if following and len(listed) >= size:
                return Page(listed, f"{following[0]} {following[1].name} 0")
        return Page(listed, "")

    def count(self) -> int:
        shards = self._shards()
        counts = [self._count_of(node, len(shards)) for _slot, node in shards]
        is_estimate = any(isinstance(number, Estimate) for number in counts)
        return Estimate(sum(counts)) if is_estimate else sum(counts)

    def _shards(self) -> list[tuple[int, ClusterNode]]:
        """Return the first slot and the primary of each shard, in the order of the slots.

        The cluster is asked, because this client learns of a new node only by a redirection.
        """
        slots = self._call(methodcaller("cluster_slots"))
        # The answering node may omit its own host.
        asked: ClusterNode = self.client.get_default_node()
        first_slots: dict[tuple[str, int], int] = {}
        for (slot, _last), nodes in sorted(slots.items()):
            host, port, *_more = nodes["primary"]
            first_slots.setdefault((host or asked.host, port), slot)
        if not all(self.client.get_node(*address) for address in first_slots):
            self._call(lambda client: client.nodes_manager.initialize())
        shards = [(slot, self.client.get_node(*address)) for address, slot in first_slots.items()]
        if not all(node for _slot, node in shards):
            raise StoreUnavailableError(self.label, "Its nodes disagree about their addresses")
        return shards

    def _scan(self, shard: ClusterNode, cursor: int, **options: Any) -> tuple[int, list[bytes]]:
        cursors, names = self.client.scan(cursor, target_nodes=shard, **options)
        return cursors[shard.name], names

    def _size(self, shard: ClusterNode) -> int:
        size: int = self.client.dbsize(target_nodes=shard)
        return size
