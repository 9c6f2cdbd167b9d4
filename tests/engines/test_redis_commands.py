"""The commands that compare and change an entry, on each version of Redis and Valkey."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.core.cache import caches as connections
from pytest_django import Settings
from redis import Connection, Redis

from cookieproj.engines.cache import SessionStore
from cookieproj.engines.caches import adapter_for, redis_steps
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.round_trips import count_round_trips
from cookieproj.settings.caches import caches
from tests import servers
from tests.clusters import redis_cluster
from tests.conftest import start
from tests.proxy import proxied

from .test_round_trips import SESSIONS, RoundTrips, monitor

SERVERS = ["redis", "redis7", "redis8", "valkey8", "valkey"]

# The server, its first version, and the commands that replace, touch and delete an entry.
COMMANDS = [
    ("valkey", (9, 0), ("SET", "EVAL", "DELIFEQ")),
    ("valkey", (8, 1), ("SET", "EVAL", "EVAL")),
    ("redis", (8, 4), ("SET", "EVAL", "DELEX")),
    ("redis", (6, 2), ("EVAL", "EVAL", "EVAL")),
]

Use = Callable[[str], None]


@pytest.fixture
def use(settings: Settings) -> Use:
    """Return a function that stores sessions at that URL."""
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    settings.SESSION_CACHE_ALIAS = "sessions"

    def use(url: str) -> None:
        settings.CACHES = caches(url)

    return use


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[str]:
    """The address of a new server."""
    with ExitStack() as stack:
        yield urlsplit(start(stack, servers.redis(tmp_path, kind="valkey"))).netloc


def create_session(**data: Any) -> str:
    session = SessionStore()
    session.update(data)
    session.save()
    return str(session.session_key)


def changed_session(key: str) -> SessionStore:
    """A loaded session with a change that is not saved yet."""
    session = SessionStore(key)
    session["n"] = session["n"] + 1
    return session


def commands_of(address: str, act: Callable[[], object]) -> list[str]:
    """The names of the commands sent to the server, without those inside scripts."""
    round_trips = RoundTrips()
    with monitor(f"redis://{address}/{SESSIONS}", round_trips) as add_commands:
        act()
        add_commands()
    return [text.split()[0] for text in round_trips]


def delete(key: str) -> bool:
    """Read the entry and delete it if it is unchanged."""
    store = store_of(SessionStore)
    entry = store.read(key)
    return entry is not None and store.compare_and_delete(key, entry)


def round_trips_of_delete(address: str) -> tuple[int, list[str]]:
    """The number of round trips, and the commands after GET that the server did not refuse."""
    key = create_session(n=1)
    with count_round_trips() as round_trips:
        first, *commands = commands_of(address, lambda: delete(key))
    assert first == "GET"
    return round_trips.number, commands


def expected_commands(address: str) -> tuple[str, ...]:
    """The commands for the server's version according to INFO, which the store does not use."""
    with Redis.from_url(f"redis://{address}") as client:
        info: Any = client.info("server")
    name = info.get("server_name", "redis")
    version = tuple(map(int, str(info[f"{name}_version"]).split(".")))
    return next(
        commands for known, first, commands in COMMANDS if known == name and version >= first
    )


@pytest.mark.parametrize("server", SERVERS)
def test_each_step_is_the_best_command_of_the_server(
    use: Use, server: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{server}_url")
    use(url)
    address = urlsplit(url).netloc
    commands = expected_commands(address)
    key = create_session(n=1)
    changed, unchanged = changed_session(key), SessionStore(key)
    unchanged.get("n")
    touch, swap = (commands_of(address, session.save) for session in (unchanged, changed))
    assert (*swap, *touch) == commands[:2]
    assert commands_of(address, lambda: delete(key)) == ["GET", commands[2]]
    assert SessionStore(key).load() == {}


@pytest.mark.parametrize("server", SERVERS)
def test_concurrent_changes_are_merged_and_save_after_flush_is_refused(
    use: Use, server: str, request: pytest.FixtureRequest
) -> None:
    use(request.getfixturevalue(f"{server}_url"))
    key = create_session(n=1)
    first, second, late = changed_session(key), changed_session(key), changed_session(key)
    first["a"], second["b"] = 1, 2
    first.save()
    second.save()
    assert dict(SessionStore(key).items()) == {"n": 2, "a": 1, "b": 2}
    SessionStore(key).flush()
    with pytest.raises(UpdateError):
        late.save()


@pytest.mark.parametrize("server", SERVERS)
def test_session_saved_with_past_expiry_is_deleted(
    use: Use, server: str, request: pytest.FixtureRequest
) -> None:
    use(request.getfixturevalue(f"{server}_url"))
    key = create_session(n=1)
    session = changed_session(key)
    session.set_expiry(-5)
    session.save()
    assert SessionStore(key).load() == {}


def test_forbidden_command_is_only_tried_once(use: Use, valkey: str) -> None:
    """After that, the script is sent, and without the right to it the transaction."""
    with Redis.from_url(f"redis://{valkey}") as client:
        client.execute_command("ACL SETUSER site on >secret ~* +@all -delifeq")
        use(f"valkey://site:secret@{valkey}/0")
        transaction = ["WATCH", "GET", "MULTI", "DEL", "EXEC"]
        assert [round_trips_of_delete(valkey) for _ in range(2)] == [(3, ["EVAL"]), (2, ["EVAL"])]
        client.execute_command("ACL SETUSER site -@scripting")
        assert [round_trips_of_delete(valkey) for _ in range(2)] == [
            (5, transaction),
            (4, transaction),
        ]
    key = create_session(n=1)
    assert commands_of(valkey, changed_session(key).save) == ["SET"]
    # A save takes no further round trips, so there is no warning.
    assert adapter_for(connections["sessions"]).detour == ""


def test_refused_command_is_tried_again_after_some_minutes(
    use: Use, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right may have been granted meanwhile."""
    with Redis.from_url(f"redis://{valkey}") as client:
        client.execute_command("ACL SETUSER site on >secret ~* +@all -delifeq")
        use(f"valkey://site:secret@{valkey}/0")
        assert round_trips_of_delete(valkey) == (3, ["EVAL"])
        client.execute_command("ACL SETUSER site +delifeq")
    assert round_trips_of_delete(valkey) == (2, ["EVAL"])
    monkeypatch.setattr(redis_steps, "SERVER_TTL", 0)
    assert round_trips_of_delete(valkey) == (2, ["DELIFEQ"])


def test_server_replaced_by_an_older_one_is_sent_scripts(
    use: Use, valkey: str, redis_url: str
) -> None:
    """The store knows the version that the first connection returned."""
    host, _, port = valkey.partition(":")
    older = urlsplit(redis_url)
    with (
        proxied((host, int(port))) as proxy,
        Redis.from_url(f"redis://{valkey}/{SESSIONS}") as new,
        Redis(port=older.port or 0, db=SESSIONS) as old,
    ):
        use(f"valkey://127.0.0.1:{proxy.port}/0")
        key = create_session(n=1)
        changed_session(key).save()
        [name] = new.keys()
        old.set(name, new.get(name) or b"", ex=60)
        proxy.turn_to(("127.0.0.1", older.port or 0))
        proxy.cut()
        for commands in (["SET", "EVAL"], ["EVAL"]):
            session = changed_session(key)
            assert commands_of(older.netloc, session.save)[-len(commands) :] == commands
        assert SessionStore(key)["n"] == 4


def test_servers_of_a_cluster_have_different_commands(use: Use, tmp_path: Path) -> None:
    """While they are upgraded one by one. redis-py knows the commands of one of them only."""
    with ExitStack() as stack:
        kinds = ("valkey8", "valkey", "valkey8")
        cluster = start(
            stack, redis_cluster(tmp_path / "cluster", "--appendonly", "no", kinds=kinds)
        )
        use(cluster.url)
        # Each server has some of them.
        for key in [create_session(n=1) for _ in range(30)]:
            changed_session(key).save()
            assert delete(key)
            assert SessionStore(key).load() == {}


@pytest.mark.parametrize("protocol", [2, 3])
def test_interrupted_command_leaves_its_answer_to_nobody(
    use: Use, valkey: str, protocol: int
) -> None:
    """By an exception of a signal handler, after the command was sent."""
    use(f"valkey://{valkey}/0?protocol={protocol}")
    first, second = create_session(n=1), create_session(n=2)
    store = store_of(SessionStore)
    with (
        mock.patch.object(Connection, "read_response", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        store.read(first)
    stored = store.read(second)
    assert stored
    assert stored.data == {"n": 2}


def test_server_of_unknown_version_is_sent_scripts(use: Use, valkey: str) -> None:
    """Without HELLO, which protocol 2 does not need, the version is unknown."""
    use(f"valkey://{valkey}/0?protocol=2")
    key = create_session(n=1)
    session = changed_session(key)
    assert commands_of(valkey, session.save) == ["EVAL"]
