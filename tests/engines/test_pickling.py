"""A session that is pickled, as by a site that hands it to another process: as Django's can be."""

import copy
import pickle
from typing import Any

import pytest
from django.db import transaction

from .contract import Engine, on_engines

# A connection to a cache is in those of cache and cached_db, and that no pickle can hold.
pytestmark = on_engines(lambda engine: engine.name in {"db", "file", "signed_cookies"})


def pickled(session: Any) -> Any:
    return pickle.loads(pickle.dumps(session))


def saved(engine: Engine, **values: Any) -> Any:
    session = engine.Store()
    session.update(values)
    session.save()
    return session


@pytest.mark.parametrize("copied", [pickled, copy.deepcopy, copy.copy])
class TestACopy:
    def test_of_a_new_session(self, engine: Engine, copied: Any) -> None:
        session = engine.Store()
        session["a"] = 1
        assert copied(session)["a"] == 1

    def test_of_one_that_was_saved(self, engine: Engine, copied: Any) -> None:
        session = saved(engine, a=1)
        other = copied(session)
        other["b"] = 2
        other.save()
        assert dict(engine.Store(other.session_key).items()) == {"a": 1, "b": 2}

    def test_of_one_that_was_read(self, engine: Engine, copied: Any) -> None:
        session = engine.Store(saved(engine, a=1).session_key)
        assert session["a"] == 1
        other = copied(session)
        other["b"] = 2
        other.save()
        assert dict(engine.Store(other.session_key).items()) == {"a": 1, "b": 2}

    def test_of_one_that_was_saved_in_a_transaction(self, engine: Engine, copied: Any) -> None:
        session = saved(engine, a=1)
        with transaction.atomic():
            session["b"] = 2
            session.save()
            other = copied(session)
        assert other["b"] == 2
        other["c"] = 3
        other.save()
        assert dict(engine.Store(other.session_key).items()) == {"a": 1, "b": 2, "c": 3}

    def test_of_one_whose_transaction_is_rolled_back(self, engine: Engine, copied: Any) -> None:
        """The copy holds what it held, and its next save stores it."""
        session = saved(engine, a=1)
        with transaction.atomic():
            session["b"] = 2
            session.save()
            other = copied(session)
            transaction.set_rollback(True)
        other["c"] = 3
        other.save()
        assert dict(engine.Store(other.session_key).items()) == {"a": 1, "b": 2, "c": 3}
