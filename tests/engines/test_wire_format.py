"""A site moves between Django's engine and ours, either way, with its sessions alive."""

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.utils import timezone

from cookieproj.engines.caches.generic import TOMBSTONE_TTL
from cookieproj.engines.constants import DJANGO_ENGINE_NAMES, DJANGO_ENGINES
from cookieproj.engines.handover_mixin import store_of

from .contract import Engine, on_engines

pytestmark = on_engines(lambda engine: engine.ours and engine.name in DJANGO_ENGINE_NAMES)

DATA = {"a": 1, "text": "kůň 🐎", "deep": {"list": [1, 2.5, None, True]}}


@pytest.fixture
def djangos(engine: Engine) -> Any:
    return import_module(f"{DJANGO_ENGINES}{engine.name}").SessionStore


def stored(store: Any, **data: Any) -> Any:
    session = store()
    session.update(data)
    session.save()
    return session


def test_each_reads_what_the_other_wrote(engine: Engine, djangos: Any) -> None:
    for writer, reader in ((engine.Store, djangos), (djangos, engine.Store)):
        session = stored(writer, **DATA)
        assert dict(reader(session.session_key).items()) == DATA


def test_and_its_expiry(engine: Engine, djangos: Any) -> None:
    moment = timezone.now() + timedelta(days=3)
    for writer, reader in ((engine.Store, djangos), (djangos, engine.Store)):
        for expiry in (60, 0, moment):
            session = stored(writer, a=1)
            session.set_expiry(expiry)
            session.save()
            again = reader(session.session_key)
            assert again.get_expire_at_browser_close() == (expiry == 0)
            if expiry == moment:
                assert again.get_expiry_date() == moment
            else:
                assert again.get_expiry_age() == session.get_expiry_age()


def test_mid_flight(engine: Engine, djangos: Any) -> None:
    """A deployment goes round: one request on the old code, the next on the new."""
    key = stored(djangos, a=1).session_key
    for number, store in enumerate((engine.Store, djangos) * 3):
        session = store(key)
        session[f"step-{number}"] = number
        session.save()
        key = session.session_key
    steps = {f"step-{number}": number for number in range(6)}
    for store in (engine.Store, djangos):
        assert dict(store(key).items()) == {"a": 1, **steps}


def test_sign_in_and_out_across(engine: Engine, djangos: Any) -> None:
    for one, other in ((engine.Store, djangos), (djangos, engine.Store)):
        session = stored(one, a=1)
        old = session.session_key
        again = other(old)
        again.cycle_key()
        again.save()
        if engine.on_server:
            assert dict(one(old).items()) == {}
        last = one(again.session_key)
        assert last["a"] == 1
        last.flush()
        last.save()
        if engine.on_server:
            assert dict(other(again.session_key).items()) == {}


@on_engines(lambda engine: engine.name == "cached_db")
def test_django_takes_a_buried_copy_for_none(engine: Engine, djangos: Any) -> None:
    session = stored(engine.Store, a=1)
    store_of(engine.Store).invalidate(session.session_key)  # type: ignore[attr-defined]
    assert dict(djangos(session.session_key).items()) == {"a": 1}
    assert TOMBSTONE_TTL >= 60
