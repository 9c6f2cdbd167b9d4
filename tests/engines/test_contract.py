"""What every engine that keeps sessions on the server promises, whoever wrote it.

    pytest tests/engines --engine some.package.backend

holds any other engine to it; ``--database`` and ``--cache`` choose the real store that
it gets. Where Django's engines are known to fail they are expected to, and the summary
says what was seen of each (``-rx``).
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
    """Each writes keys of its own, and all have read the session before any saves it."""
    session = engine.Store()
    session.create()
    everybody = threading.Barrier(THREADS)

    def work(writer: int) -> None:
        try:
            for number in range(KEYS):
                session = engine.Store(session_key)
                session[f"{writer}-{number}"] = number
                everybody.wait(timeout=60)
                session.save()
                everybody.wait(timeout=60)
        finally:
            connections.close_all()
            caches.close_all()

    session_key = session.session_key
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    found = len(engine.Store(session_key).keys())
    kept(engine, found == THREADS * KEYS, f"{found} of {THREADS * KEYS} writes kept", ALL)


@on_engines(lambda engine: engine.cache != "memory")
def test_processes_lose_no_write(engine: Engine, environment: dict[str, str]) -> None:
    session = engine.Store()
    session.create()
    arguments = session.session_key, str(PROCESSES), str(KEYS)
    ran = forks().run(WRITER, *arguments, **environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    found = len(engine.Store(session.session_key).keys())
    kept(engine, found == PROCESSES * KEYS, f"{found} of {PROCESSES * KEYS} writes kept", ALL)


def test_two_requests_change_different_keys(engine: Engine, request_for: Open, key: str) -> None:
    one, other = request_for(key), request_for(key)
    one.set(c=3)
    other.set(d=4)
    one.save()
    other.save()
    data = request_for(key).data
    kept(engine, data == {"a": 1, "b": 2, "c": 3, "d": 4}, data, ALL)


def test_the_later_save_of_one_key_wins(request_for: Open, key: str) -> None:
    one, other = request_for(key), request_for(key)
    one.set(a="one")
    other.set(a="other")
    other.save()
    one.save()
    assert request_for(key).data == {"a": "one", "b": 2}


def test_a_deleted_key_stays_deleted(engine: Engine, request_for: Open, key: str) -> None:
    one, other = request_for(key), request_for(key)
    one.pop("a")
    other.set(c=3)
    one.save()
    other.save()
    data = request_for(key).data
    kept(engine, data == {"b": 2, "c": 3}, data, ALL)


def test_a_key_that_the_other_set_is_not_deleted(
    engine: Engine, request_for: Open, key: str
) -> None:
    one, other = request_for(key), request_for(key)
    one.set(a="new")
    other.pop("a")
    one.save()
    other.save()
    data = request_for(key).data
    kept(engine, data == {"a": "new", "b": 2}, data, ALL)


def test_an_emptied_session_keeps_what_came_meanwhile(
    engine: Engine, request_for: Open, key: str
) -> None:
    one, other = request_for(key), request_for(key)
    other.get("a")
    one.set(c=3)
    one.save()
    other.clear()
    other.save()
    data = request_for(key).data
    kept(engine, data == {"c": 3}, data, ALL)


def test_a_session_emptied_unread_is_empty(request_for: Open, key: str) -> None:
    session = request_for(key)
    session.clear()
    session.set(new=1)
    session.save()
    assert request_for(key).data == {"new": 1}


def test_a_change_inside_a_value_is_kept(request_for: Open) -> None:
    first = request_for().set(cart=["tea"])
    first.save()
    session = request_for(first.session_key)
    session.get("cart").append("milk")
    session.store.modified = True
    session.save()
    assert request_for(first.session_key).data == {"cart": ["tea", "milk"]}


def test_a_value_that_somebody_holds_is_still_the_sessions_after_a_merge(
    request_for: Open, key: str
) -> None:
    session = request_for(key).set(cart=["tea"])
    cart = session.get("cart")
    request_for(key).set(c=3).save()
    session.save()
    cart.append("milk")
    session.save()
    assert request_for(key).get("cart") == ["tea", "milk"]


def test_what_came_from_another_request_can_be_changed_too(
    engine: Engine, request_for: Open, key: str
) -> None:
    session = request_for(key)
    session.get("a")
    request_for(key).set(cart=["tea"]).save()
    session.save()
    session.setdefault("cart", []).append("milk")
    session.save()
    cart = request_for(key).get("cart")
    kept(engine, cart == ["tea", "milk"], cart, ALL)


def test_a_look_at_what_is_stored_undoes_nothing(
    engine: Engine, request_for: Open, key: str
) -> None:
    session = request_for(key).set(c=3)
    request_for(key).set(a="other", d=4).save()
    assert session.load() == {"a": "other", "b": 2, "d": 4}
    assert session.data == {"a": 1, "b": 2, "c": 3}
    session.save()
    data = request_for(key).data
    kept(engine, data == {"a": "other", "b": 2, "c": 3, "d": 4}, data, ALL)


def test_a_second_save_undoes_nothing_of_the_others(
    engine: Engine, request_for: Open, key: str
) -> None:
    session = request_for(key).set(c=3)
    for number in range(3):
        request_for(key).set(**{f"other-{number}": number}).save()
        session.set(d=number)
        session.save()
    data = request_for(key).data
    mine, theirs = {"c": 3, "d": 2}, {f"other-{number}": number for number in range(3)}
    kept(engine, data == {"a": 1, "b": 2, **mine, **theirs}, data, ALL)


def test_another_order_is_another_value(request_for: Open) -> None:
    first = request_for().set(menu={"tea": 1, "milk": 2})
    first.save()
    request_for(first.session_key).set(menu={"milk": 2, "tea": 1}).save()
    assert list(request_for(first.session_key).get("menu")) == ["milk", "tea"]


def test_what_is_stored_in_another_form_is_not_changed_by_that(
    engine: Engine, request_for: Open, key: str
) -> None:
    """In JSON a tuple becomes a list. That is no reason to write over what another wrote."""
    session = request_for(key).set(pair=(1, 2))
    session.save()
    request_for(key).set(pair=[3]).save()
    session.set(c=3)
    session.save()
    pair = request_for(key).get("pair")
    kept(engine, list(pair) == [3], pair, ALL)


def test_what_cannot_be_stored_is_an_error_and_nothing_is_lost(request_for: Open, key: str) -> None:
    session = request_for(key).set(bad=lambda: None)
    with pytest.raises((TypeError, AttributeError, PicklingError)):
        session.save()
    assert request_for(key).data == {"a": 1, "b": 2}


def test_a_session_of_some_size_comes_back_whole(request_for: Open) -> None:
    value: dict[str, Any] = {
        "text": "žluťoučký kůň 🐎" * 5000,
        "list": [1, 2.5, None, True, {"deep": [[]]}],
    }
    session = request_for().set(**value)
    session.save()
    assert request_for(session.session_key).data == value
