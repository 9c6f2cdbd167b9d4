"""A switch of engines after a session got a new key that its browser has not sent yet."""

import time

import pytest
import time_machine
from pytest_django import Settings

from .handover_switch import PAIRS, Switch, only_switches
from .test_key_renewal import RENEW, read, visit

pytestmark = only_switches(pair for pair in PAIRS if not pair[0].endswith("_cookies"))


@pytest.fixture
def keys(switch: Switch, settings: Settings) -> tuple[str, str]:
    """The previous key and the new one, in the old engine's store; then the switch is made."""
    settings.SESSION_RENEW_AGE = RENEW
    with time_machine.travel(time.time() - RENEW, tick=False):
        _result, previous = visit(None, lambda session: session.update({"a": 1}))
    _result, new = visit(previous, read)
    assert previous
    assert new not in {None, previous}
    switch.make()
    return previous, str(new)


def test_previous_key_leads_on(keys: tuple[str, str]) -> None:
    previous, _new = keys
    assert visit(previous, read)[0] == 1


def test_sign_out_with_the_previous_key_ends_both(keys: tuple[str, str]) -> None:
    previous, _new = keys
    _result, cookie = visit(previous, lambda session: session.flush())
    assert not cookie
    assert [visit(key, read)[0] for key in keys] == [None, None]


def test_sign_out_by_the_previous_key_ends_both(switch: Switch, keys: tuple[str, str]) -> None:
    """As from another device, whose registry does not know the new key yet."""
    previous, _new = keys
    switch.engine("new")().delete(previous)
    assert [visit(key, read)[0] for key in keys] == [None, None]
