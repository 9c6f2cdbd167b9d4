"""A site can move between Django's engine and ours in both directions with live sessions."""

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


def test_each_engine_reads_data_of_the_other(engine: Engine, djangos: Any) -> None:
    for writer, reader in ((engine.Store, djangos), (djangos, engine.Store)):
        session = stored(writer, **DATA)
        assert dict(reader(session.session_key).items()) == DATA


def test_each_engine_reads_expiry_of_the_other(engine: Engine, djangos: Any) -> None:
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


def test_alternating_engines_keep_all_writes(engine: Engine, djangos: Any) -> None:
    """For example during a rolling deployment."""
    key = stored(djangos, a=1).session_key
    for number, store in enumerate((engine.Store, djangos) * 3):
        session = store(key)
        session[f"step-{number}"] = number
        session.save()
        key = session.session_key
    steps = {f"step-{number}": number for number in range(6)}
    for store in (engine.Store, djangos):
        assert dict(store(key).items()) == {"a": 1, **steps}


def test_sign_in_and_sign_out_in_one_engine_end_key_in_the_other(
    engine: Engine, djangos: Any
) -> None:
    for first, second in ((engine.Store, djangos), (djangos, engine.Store)):
        old_key = stored(first, a=1).session_key
        signing_in = second(old_key)
        signing_in.cycle_key()
        signing_in.save()
        if engine.on_server:
            assert dict(first(old_key).items()) == {}
        signing_out = first(signing_in.session_key)
        assert signing_out["a"] == 1
        signing_out.flush()
        signing_out.save()
        if engine.on_server:
            assert dict(second(signing_in.session_key).items()) == {}


@on_engines(lambda engine: engine.name == "cached_db")
def test_django_reads_row_if_copy_is_tombstone(engine: Engine, djangos: Any) -> None:
    session = stored(engine.Store, a=1)
    store_of(engine.Store).invalidate(session.session_key)  # type: ignore[attr-defined]
    assert dict(djangos(session.session_key).items()) == {"a": 1}
    assert TOMBSTONE_TTL >= 60
