"""The promises of every engine that keeps sessions on the server.

    pytest tests/engines --engine some.package.backend

tests them on any other engine. ``--database`` and ``--cache`` choose its store. Promises that
Django's engines are known to break are expected failures, and ``-rx`` lists them with the result.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from pickle import PicklingError
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connections

from tests.families import IN_COOKIES
from tests.sites import forks

from .contract import ALL, Engine, Open, kept, on_engines
from .writer import WRITER

pytestmark = on_engines(lambda engine: engine.name not in IN_COOKIES)

THREADS, PROCESSES, KEYS = 20, 8, 10


def test_threads_lose_no_write(engine: Engine) -> None:
    """All threads read the session before any of them saves it, each with keys of its own."""
    session = engine.Store()
    session.create()
    barrier = threading.Barrier(THREADS)

    def work(writer: int) -> None:
        try:
            for number in range(KEYS):
                session = engine.Store(session_key)
                session[f"{writer}-{number}"] = number
                barrier.wait(timeout=60)
                session.save()
                barrier.wait(timeout=60)
        finally:
            connections.close_all()
            caches.close_all()

    session_key = session.session_key
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    writes = len(engine.Store(session_key).keys())
    kept(engine, writes == THREADS * KEYS, f"{writes} of {THREADS * KEYS} writes kept", ALL)


@on_engines(lambda engine: engine.cache != "memory")
def test_processes_lose_no_write(engine: Engine, environment: dict[str, str]) -> None:
    session = engine.Store()
    session.create()
    arguments = session.session_key, str(PROCESSES), str(KEYS)
    ran = forks().run(WRITER, *arguments, **environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    writes = len(engine.Store(session.session_key).keys())
    kept(engine, writes == PROCESSES * KEYS, f"{writes} of {PROCESSES * KEYS} writes kept", ALL)


def test_concurrent_changes_of_different_keys_are_merged(
    engine: Engine, request_for: Open, key: str
) -> None:
    first, second = request_for(key), request_for(key)
    first.set(c=3)
    second.set(d=4)
    first.save()
    second.save()
    data = request_for(key).data
    kept(engine, data == {"a": 1, "b": 2, "c": 3, "d": 4}, data, ALL)


def test_the_later_save_of_one_key_wins(request_for: Open, key: str) -> None:
    first, second = request_for(key), request_for(key)
    first.set(a="first")
    second.set(a="second")
    second.save()
    first.save()
    assert request_for(key).data == {"a": "first", "b": 2}


def test_a_deleted_key_stays_deleted(engine: Engine, request_for: Open, key: str) -> None:
    first, second = request_for(key), request_for(key)
    first.pop("a")
    second.set(c=3)
    first.save()
    second.save()
    data = request_for(key).data
    kept(engine, data == {"b": 2, "c": 3}, data, ALL)


def test_key_that_was_changed_concurrently_is_not_deleted(
    engine: Engine, request_for: Open, key: str
) -> None:
    first, second = request_for(key), request_for(key)
    first.set(a="new")
    second.pop("a")
    first.save()
    second.save()
    data = request_for(key).data
    kept(engine, data == {"a": "new", "b": 2}, data, ALL)


def test_clear_after_reading_keeps_concurrent_writes(
    engine: Engine, request_for: Open, key: str
) -> None:
    first, second = request_for(key), request_for(key)
    second.get("a")
    first.set(c=3)
    first.save()
    second.clear()
    second.save()
    data = request_for(key).data
    kept(engine, data == {"c": 3}, data, ALL)


def test_clear_before_reading_deletes_all_data(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.clear()
    session.set(new=1)
    session.save()
    assert request_for(key).data == {"new": 1}


def test_change_inside_a_value_is_saved(request_for: Open) -> None:
    first = request_for().set(cart=["tea"])
    first.save()
    session = request_for(first.session_key)
    session.get("cart").append("milk")
    session.store.modified = True
    session.save()
    assert request_for(first.session_key).data == {"cart": ["tea", "milk"]}


def test_merge_keeps_the_same_value_objects(request_for: Open, key: str) -> None:
    session = request_for(key).set(cart=["tea"])
    cart = session.get("cart")
    request_for(key).set(c=3).save()
    session.save()
    cart.append("milk")
    session.save()
    assert request_for(key).get("cart") == ["tea", "milk"]


def test_merged_value_can_be_changed_in_place(engine: Engine, request_for: Open, key: str) -> None:
    session = request_for(key)
    session.get("a")
    request_for(key).set(cart=["tea"]).save()
    session.save()
    session.setdefault("cart", []).append("milk")
    session.save()
    cart = request_for(key).get("cart")
    kept(engine, cart == ["tea", "milk"], cart, ALL)


def test_load_does_not_undo_concurrent_writes(engine: Engine, request_for: Open, key: str) -> None:
    session = request_for(key).set(c=3)
    request_for(key).set(a="other", d=4).save()
    assert session.load() == {"a": "other", "b": 2, "d": 4}
    assert session.data == {"a": 1, "b": 2, "c": 3}
    session.save()
    data = request_for(key).data
    kept(engine, data == {"a": "other", "b": 2, "c": 3, "d": 4}, data, ALL)


def test_repeated_saves_do_not_undo_concurrent_writes(
    engine: Engine, request_for: Open, key: str
) -> None:
    session = request_for(key).set(c=3)
    for number in range(3):
        request_for(key).set(**{f"other-{number}": number}).save()
        session.set(d=number)
        session.save()
    data = request_for(key).data
    own, others = {"c": 3, "d": 2}, {f"other-{number}": number for number in range(3)}
    kept(engine, data == {"a": 1, "b": 2, **own, **others}, data, ALL)


def test_dict_in_another_order_is_a_change(request_for: Open) -> None:
    first = request_for().set(menu={"tea": 1, "milk": 2})
    first.save()
    request_for(first.session_key).set(menu={"milk": 2, "tea": 1}).save()
    assert list(request_for(first.session_key).get("menu")) == ["milk", "tea"]


def test_tuple_that_is_stored_as_a_list_is_no_change(
    engine: Engine, request_for: Open, key: str
) -> None:
    """JSON turns a tuple into a list. That must not overwrite the change of another request."""
    session = request_for(key).set(pair=(1, 2))
    session.save()
    request_for(key).set(pair=[3]).save()
    session.set(c=3)
    session.save()
    pair = request_for(key).get("pair")
    kept(engine, list(pair) == [3], pair, ALL)


def test_unserializable_value_raises_and_keeps_the_stored_data(request_for: Open, key: str) -> None:
    session = request_for(key).set(bad=lambda: None)
    with pytest.raises((TypeError, AttributeError, PicklingError)):
        session.save()
    assert request_for(key).data == {"a": 1, "b": 2}


def test_large_session_is_read_as_it_was_saved(request_for: Open) -> None:
    value: dict[str, Any] = {
        "text": "žluťoučký kůň 🐎" * 5000,
        "list": [1, 2.5, None, True, {"deep": [[]]}],
    }
    session = request_for().set(**value)
    session.save()
    assert request_for(session.session_key).data == value
