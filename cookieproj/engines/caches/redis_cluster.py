"""Sessions in a Redis Cluster, through redis-py's RedisCluster and django-redis."""

from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Any, ClassVar
from zlib import crc32

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_redis.pool import ConnectionFactory
from redis import ConnectionPool, RedisCluster
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import parse_url
from redis.exceptions import AskError, MovedError, RedisClusterException
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from cookieproj.engines.entries import ListedSession, Page
from cookieproj.engines.exceptions import TRY_AGAIN, StoreError, StoreUnavailableError
from cookieproj.engines.listing import Estimate

from .redis import DjangoRedisStore
from .redis_errors import refuse_decode_responses
from .redis_steps import Server, Step

# A slot moves from one node to one other. More redirections mean nodes that disagree.
MAX_REDIRECTIONS = 5

NODES_DISAGREE = gettext_lazy("Its nodes disagree about their addresses.")
REDIRECTED_TOO_OFTEN = gettext_lazy("Its nodes redirect to each other.")


class ClusterConnectionFactory(ConnectionFactory):  # type: ignore[misc]
    """Connects a cache of django-redis to a Redis Cluster.

    Set it as the CONNECTION_FACTORY in the cache's OPTIONS. LOCATION is the URL of one node. Its
    user, password and options are used for all nodes: ``rediss://user:password@host:6379``. The
    client asks that node for the others, or one of STARTUP_NODES, a list of (host, port).
    """

    # All threads share the client of a cluster, and so its connections.
    _clusters: ClassVar[dict[object, RedisCluster]] = {}

    def connect(self, url: str) -> Any:
        node_of(url)
        startup_nodes = tuple(self.options.get("STARTUP_NODES", ()))
        parameters = self.make_connection_params(url) | self.pool_cls_kwargs
        key = url, startup_nodes, repr(sorted(parameters.items()))
        cluster = self._clusters.get(key)
        if cluster is None:
            cluster = self._clusters[key] = RedisCluster(
                startup_nodes=[ClusterNode(*node) for node in startup_nodes],  # type: ignore[no-untyped-call]
                # A command whose answer is lost may have been executed, so it is not repeated.
                retry=Retry(NoBackoff(), 0),
                # While some slots are not served, sessions in the others are.
                require_full_coverage=False,
                **parameters,
            )
        return cluster

    def disconnect(self, connection: Any) -> None:
        connection.disconnect_connection_pools()


def node_of(url: str) -> dict[str, Any]:
    """Return the options in the URL of a node; raise ImproperlyConfigured if it names none.

    The error does not quote the URL, which may have a password.
    """
    try:
        node: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError:
        node = {}
    if not node.get("host"):
        raise ImproperlyConfigured(
            _(
                "The LOCATION of a Redis Cluster must be the URL of one node, as in "
                "redis://user:password@host:6379, with the special characters of the password "
                "percent-encoded."
            )
        )
    return node


class RedisClusterStore(DjangoRedisStore):
    """Sessions spread over the nodes of a Redis Cluster. It has one database, number 0."""

    errors = (*DjangoRedisStore.errors, RedisClusterException)

    @property
    def label(self) -> str:
        # Not from the client: creating it connects to the cluster.
        node = node_of(self.cache.client._server[0])
        return f"{self.server_name} Cluster {node['host']}:{node.get('port', 6379)}"

    @property
    def kind(self) -> str:
        return "Redis Cluster"

    def check_settings(self) -> None:
        # The client is not created, as that connects to the cluster.
        client = self.cache.client
        refuse_decode_responses(
            node_of(client._server[0]) | client.connection_factory.pool_cls_kwargs
        )

    def _server(self, name: str) -> Server:
        try:
            return super()._server(name)
        except StoreUnavailableError:
            # Its replica may have taken over. The client learns of that by a command only.
            return Server("", ())

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

    def _command(self, command: Callable[[Any], Any]) -> Any:
        """Run one command by the client, which finds its node."""
        return self._call(command)

    def _may_retry(self, error: BaseException | None) -> bool:
        """Whether the command was not sent, and the client has learned of a new primary.

        The error's ``connection`` is the node if connecting to it failed. The error of a pipeline
        has none, but pipelines only read.
        """
        node = getattr(error, "connection", None)
        if node is None:
            return isinstance(error, (RedisConnectionError, RedisTimeoutError))
        try:
            return isinstance(node, ClusterNode) and node not in self.client.get_primaries()
        except self.errors:
            # The client has never reached the cluster.
            return False

    def _retry_on_new_connection(self, write: Callable[[], Any]) -> Any:
        """Write once. A node that is no longer a primary redirects to the new one (MOVED)."""
        return write()

    def _in_transaction(self, step: Step, name: str, token: bytes, *arguments: Any) -> bool:
        """Run the transaction where the entry is: a node redirects before it changes anything.

        Only single commands and pipelines that read are redirected by redis-py.
        """
        with self.store_call():
            node, is_asking = self.client.get_node_from_key(name), False
        for _redirection in range(MAX_REDIRECTIONS):
            client = self.client.get_redis_connection(node)
            run = self._compare_and_change_asking if is_asking else self._compare_and_change
            try:
                with client.pipeline(transaction=True) as transaction:
                    return run(transaction, step, name, token, *arguments)
            except StoreError as error:
                redirection = error.__cause__
                # MovedError is a subclass of it.
                if not isinstance(redirection, AskError):
                    raise
            is_asking = not isinstance(redirection, MovedError)
            node = self._node_at(redirection.host, redirection.port)
        raise StoreUnavailableError(self.label, REDIRECTED_TOO_OFTEN, TRY_AGAIN)

    def _compare_and_change_asking(self, transaction: Any, *arguments: Any) -> bool:
        """Run it on the node that imports the slot, which only serves it after ASKING."""
        ask = partial(transaction.immediate_execute_command, "ASKING")
        return self._compare_and_change(transaction, *arguments, prepare=ask)

    def _node_at(self, host: str, port: int) -> ClusterNode:
        """Return that node. If the client does not know it yet, the cluster is asked."""
        node: ClusterNode | None = self.client.get_node(host, port)
        if node is None:
            self._call(lambda client: client.nodes_manager.initialize())
            node = self.client.get_node(host, port)
        if node is None:
            raise StoreUnavailableError(self.label, NODES_DISAGREE, TRY_AGAIN)
        return node

    def page(self, position: str, size: int) -> Page:
        """Scan node after node.

        The position is a digest of the slots of all nodes, the number of a node and its cursor. If
        slots have moved or a replica has taken over, the list begins again, and a session may be
        listed twice. One that moves to a node behind the list is left out only if its slot changes
        owner after the list has ended.
        """
        slots, shards = self._slots_and_shards()
        known_slots, number, cursor = position.split() if position else (slots, "0", "0")
        if known_slots != slots:
            number, cursor = "0", "0"
        listed: list[ListedSession] = []
        for index in range(int(number), len(shards)):
            start = cursor if index == int(number) else ""
            page = self._page_of(shards[index], start, size - len(listed))
            listed += page.sessions
            if page.next:
                return Page(listed, f"{slots} {index} {page.next}")
            if len(listed) >= size and index + 1 < len(shards):
                return Page(listed, f"{slots} {index + 1} 0")
        slots_now, _nodes = self._slots_and_shards()
        return Page(listed, "" if slots_now == slots else f"{slots_now} 0 0")

    def count(self) -> int:
        _digest, shards = self._slots_and_shards()
        counts = [self._count_of(node, len(shards)) for node in shards]
        is_estimate = any(isinstance(number, Estimate) for number in counts)
        return Estimate(sum(counts)) if is_estimate else sum(counts)

    def _slots_and_shards(self) -> tuple[str, list[ClusterNode]]:
        """Return a digest of which node has which slots, and the primaries in that order.

        The cluster is asked, because this client learns of a new node only by a redirection.
        """
        answer = self._call(methodcaller("cluster_slots"))
        # The answering node may omit its own host.
        asked: ClusterNode = self.client.get_default_node()
        slots = []
        for (first, last), nodes in sorted(answer.items()):
            host, port, *_more = nodes["primary"]
            slots.append((first, last, host or asked.host, port))
        addresses = list(dict.fromkeys((host, port) for *_range, host, port in slots))
        if not all(self.client.get_node(*address) for address in addresses):
            self._call(lambda client: client.nodes_manager.initialize())
        shards = [self.client.get_node(*address) for address in addresses]
        if not all(shards):
            raise StoreUnavailableError(self.label, NODES_DISAGREE, TRY_AGAIN)
        return f"{crc32(repr(slots).encode()):08x}", shards

    def _scan(self, shard: ClusterNode, cursor: int, **options: Any) -> tuple[int, list[bytes]]:
        cursors, names = self.client.scan(cursor, target_nodes=shard, **options)
        return cursors[shard.name], names

    def _size(self, shard: ClusterNode) -> int:
        size: int = self.client.dbsize(target_nodes=shard)
        return size
