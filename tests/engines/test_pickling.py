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


def test_copied_dict_of_a_loaded_session_is_that_of_another(engine: Engine) -> None:
    session = engine.Store(saved(engine, a=1).session_key)
    assert session["a"] == 1
    other = engine.Store.__new__(type(session))
    vars(other).update(copy.deepcopy(vars(session)))
    other["b"] = 2
    assert (dict(session.items()), dict(other.items())) == ({"a": 1}, {"a": 1, "b": 2})


def test_subclass_may_have_a_state_and_slots_of_its_own(engine: Engine) -> None:
    class Session(engine.Store):  # type: ignore[name-defined,misc]
        __slots__ = ("tenant",)

        def __getstate__(self) -> Any:
            return vars(self).copy(), {"tenant": self.tenant}

    stored = Session()
    stored["a"] = 1
    stored.save()
    session = Session(stored.session_key)
    session.tenant = "one"
    assert session["a"] == 1
    for other in (copy.copy(session), copy.deepcopy(session)):
        assert (other["a"], other.tenant) == (1, "one")
