"""Sessions can be pickled and copied, like Django's, for example for another process."""

import copy
import pickle
from typing import Any

import pytest
from django.db import transaction

from .contract import Engine, on_engines

# Sessions of cache and cached_db contain a cache connection, which cannot be pickled.
pytestmark = on_engines(lambda engine: engine.name in {"db", "file", "signed_cookies"})


def pickled(session: Any) -> Any:
    return pickle.loads(pickle.dumps(session))


def saved(engine: Engine, **values: Any) -> Any:
    session = engine.Store()
    session.update(values)
    session.save()
    return session


@pytest.mark.parametrize("copied", [pickled, copy.deepcopy, copy.copy])
class TestCopy:
    def test_of_new_session_has_its_data(self, engine: Engine, copied: Any) -> None:
        session = engine.Store()
        session["a"] = 1
        assert copied(session)["a"] == 1

    def test_of_saved_session_can_be_saved(self, engine: Engine, copied: Any) -> None:
        session = saved(engine, a=1)
        other = copied(session)
        other["b"] = 2
        other.save()
        assert dict(engine.Store(other.session_key).items()) == {"a": 1, "b": 2}

    def test_of_loaded_session_can_be_saved(self, engine: Engine, copied: Any) -> None:
        session = engine.Store(saved(engine, a=1).session_key)
        assert session["a"] == 1
        other = copied(session)
        other["b"] = 2
        other.save()
        assert dict(engine.Store(other.session_key).items()) == {"a": 1, "b": 2}

    def test_of_session_saved_in_transaction_can_be_saved(
        self, engine: Engine, copied: Any
    ) -> None:
        session = saved(engine, a=1)
        with transaction.atomic():
            session["b"] = 2
            session.save()
            other = copied(session)
        assert other["b"] == 2
        other["c"] = 3
        other.save()
        assert dict(engine.Store(other.session_key).items()) == {"a": 1, "b": 2, "c": 3}

    def test_of_session_saved_in_rolled_back_transaction_stores_its_data(
        self, engine: Engine, copied: Any
    ) -> None:
        """The copy keeps its data, and its next save stores them."""
        session = saved(engine, a=1)
        with transaction.atomic():
            session["b"] = 2
            session.save()
            other = copied(session)
            transaction.set_rollback(True)
        other["c"] = 3
        other.save()
        assert dict(engine.Store(other.session_key).items()) == {"a": 1, "b": 2, "c": 3}
