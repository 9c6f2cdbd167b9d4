"""By which commands a server compares: its own, a script's, or those of a transaction."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.core.cache import caches as connections
from pytest_django import Settings
from redis import Redis

from cookieproj.engines.cache import SessionStore
from cookieproj.engines.caches import adapter_for
from cookieproj.engines.handover_mixin import store_of
from cookieproj.engines.round_trips import count_round_trips
from cookieproj.settings.caches import caches
from tests import servers
from tests.conftest import start
from tests.proxy import Proxy

from .test_round_trips import SESSIONS, RoundTrips
from .test_round_trips import commands_of as monitored

SERVERS = ["redis", "redis7", "redis8", "valkey8", "valkey"]

# Server and version, and the commands by which it replaces, touches and deletes an entry since.
COMMANDS = [
    ("valkey", (9, 0), ("SET", "EVAL", "DELIFEQ")),
    ("valkey", (8, 1), ("SET", "EVAL", "EVAL")),
    ("redis", (8, 4), ("SET", "EVAL", "DELEX")),
    ("redis", (6, 2), ("EVAL", "EVAL", "EVAL")),
]

Use = Callable[[str], None]


@pytest.fixture
def use(settings: Settings) -> Use:
    """Keep sessions in the server of that URL."""
    settings.SESSION_ENGINE = "cookieproj.engines.cache"
    settings.SESSION_CACHE_ALIAS = "sessions"

    def use(url: str) -> None:
        settings.CACHES = caches(url)

    return use


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[str]:
    """The address of one that no other test has spoken to."""
    with ExitStack() as stack:
        yield urlsplit(start(stack, servers.redis(tmp_path, kind="valkey"))).netloc


def stored(**data: Any) -> str:
    session = SessionStore()
    session.update(data)
    session.save()
    return str(session.session_key)


def changed(key: str) -> SessionStore:
    """One that has been read and waits to be saved."""
    session = SessionStore(key)
    session["n"] = session["n"] + 1
    return session


def commands_of(address: str, act: Callable[[], object]) -> list[str]:
    """The words that the server was sent, less what a script did inside it."""
    trips = RoundTrips()
    with monitored(f"redis://{address}/{SESSIONS}", trips) as read_commands:
        act()
        read_commands()
    return [trip.split()[0] for trip in trips]


def delete(key: str) -> bool:
    """As a step of its own, without another before it."""
    store = store_of(SessionStore)
    old = store.read(key)
    return old is not None and store.compare_and_delete(key, old)


def trips_of_delete(address: str) -> tuple[int, list[str]]:
    """How many there were, its reading among them, and the words that were not refused."""
    key = stored(n=1)
    with count_round_trips() as trips:
        read, *words = commands_of(address, lambda: delete(key))
    assert read == "GET"
    return trips.number, words


def commands_since(address: str) -> tuple[str, ...]:
    """Those of the table, by what the server tells when it is asked, which the store never does."""
    with Redis.from_url(f"redis://{address}") as client:
        told: Any = client.info("server")
    name = told.get("server_name", "redis")
    version = tuple(map(int, str(told[f"{name}_version"]).split(".")))
    return next(best for known, since, best in COMMANDS if known == name and version >= since)


@pytest.mark.parametrize("server", SERVERS)
def test_each_step_is_the_best_command_that_the_server_has(
    use: Use, server: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"{server}_url")
    use(url)
    address = urlsplit(url).netloc
    commands = commands_since(address)
    key = stored(n=1)
    other, same = changed(key), SessionStore(key)
    same.get("n")
    touch, swap = (commands_of(address, session.save) for session in (same, other))
    assert (*swap, *touch) == commands[:2]
    assert commands_of(address, lambda: delete(key)) == ["GET", commands[2]]
    assert SessionStore(key).load() == {}


@pytest.mark.parametrize("server", SERVERS)
def test_what_has_changed_is_not_replaced(
    use: Use, server: str, request: pytest.FixtureRequest
) -> None:
    use(request.getfixturevalue(f"{server}_url"))
    key = stored(n=1)
    one, two, late = changed(key), changed(key), changed(key)
    one["a"], two["b"] = 1, 2
    one.save()
    two.save()
    assert dict(SessionStore(key).items()) == {"n": 2, "a": 1, "b": 2}
    SessionStore(key).flush()
    with pytest.raises(UpdateError):
        late.save()


@pytest.mark.parametrize("server", SERVERS)
def test_one_that_is_saved_as_over_is_gone(
    use: Use, server: str, request: pytest.FixtureRequest
) -> None:
    use(request.getfixturevalue(f"{server}_url"))
    key = stored(n=1)
    over = changed(key)
    over.set_expiry(-5)
    over.save()
    assert SessionStore(key).load() == {}


def test_a_command_that_a_user_may_not_run_is_tried_once(use: Use, valkey: str) -> None:
    """Then a script is, and then a transaction."""
    with Redis.from_url(f"redis://{valkey}") as client:
        client.execute_command("ACL SETUSER site on >secret ~* +@all -delifeq")
        use(f"valkey://site:secret@{valkey}/0")
        transaction = ["WATCH", "GET", "MULTI", "DEL", "EXEC"]
        assert [trips_of_delete(valkey) for _ in range(2)] == [(3, ["EVAL"]), (2, ["EVAL"])]
        client.execute_command("ACL SETUSER site -@scripting")
        assert [trips_of_delete(valkey) for _ in range(2)] == [(5, transaction), (4, transaction)]
    key = stored(n=1)
    assert commands_of(valkey, changed(key).save) == ["SET"]
    # So no save that changes anything takes longer, and nothing is told.
    assert adapter_for(connections["sessions"]).detour == ""


def test_a_server_that_takes_the_place_of_a_newer_one_is_sent_scripts(
    use: Use, valkey: str, redis_url: str
) -> None:
    """It said what it is when the first connection was made."""
    host, _, port = valkey.partition(":")
    name = Proxy((host, int(port)))
    use(f"valkey://127.0.0.1:{name.port}/0")
    key = stored(n=1)
    changed(key).save()
    older = urlsplit(redis_url)
    with (
        Redis.from_url(f"redis://{valkey}/{SESSIONS}") as new,
        Redis(port=older.port or 0, db=SESSIONS) as old,
    ):
        [entry] = new.keys()
        old.set(entry, new.get(entry) or b"", ex=60)
    name.turn_to(("127.0.0.1", older.port or 0))
    name.cut()
    for commands in (["SET", "EVAL"], ["EVAL"]):
        session = changed(key)
        assert commands_of(older.netloc, session.save)[-len(commands) :] == commands
    assert SessionStore(key)["n"] == 4
    name.close()


def test_one_that_is_not_greeted_is_sent_scripts(use: Use, valkey: str) -> None:
    """By the protocol of before there is no greeting, so nothing is known of the server."""
    use(f"valkey://{valkey}/0?protocol=2")
    key = stored(n=1)
    session = changed(key)
    assert commands_of(valkey, session.save) == ["EVAL"]
