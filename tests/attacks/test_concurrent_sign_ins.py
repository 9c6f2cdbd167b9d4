"""Two sign-ins of one browser at the same time, with the same session key."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.conftest import on
from tests.engines.handover_switch import STEPS
from tests.families import SERVER_ENGINES
from tests.stores import Step, steps_of

from .conftest import Report


class Interruption:
    """Runs an action before the store step with the number ``at``, within the block."""

    def __init__(self, at: int, action: Callable[[], object]) -> None:
        self.at = at
        self.action = action
        self.has_run = self.is_inside = False

    @contextmanager
    def during_steps_of(self, engine: Any) -> Iterator[None]:
        with steps_of(engine, **dict.fromkeys(STEPS, self.interrupted)):
            yield

    def interrupted(self, step: Step) -> Step:
        def after_the_action(*arguments: Any, **options: Any) -> Any:
            if self.is_inside:
                return step(*arguments, **options)
            self.is_inside = True
            try:
                if self.at == 0 and not self.has_run:
                    self.has_run = True
                    self.action()
                self.at -= 1
                return step(*arguments, **options)
            finally:
                self.is_inside = False

        return after_the_action


def sign_in(engine: Any, key: str, user: str) -> str:
    """Sign in as login() does, then store something of the user's. Return the new key."""
    session = engine(key)
    session.get("cart")
    session.cycle_key()
    session["user"] = session[f"order of {user}"] = user
    session.save()
    return str(session.session_key)


@on(*SERVER_ENGINES)
def test_old_key_opens_nothing_and_no_user_gets_data_of_the_other(
    profile: str, store: Any, report: Report
) -> None:
    """Bob signs in before each step in turn that Ada's sign-in takes in the store."""
    tries: list[int] = []
    succeeded: list[int] = []
    while True:
        at = len(tries)
        anonymous = store()
        anonymous["cart"] = "cookies"
        anonymous.save()
        old_key: str = anonymous.session_key
        keys: dict[str, str] = {}

        def sign_in_as_bob(old_key: str = old_key, keys: dict[str, str] = keys) -> None:
            keys["Bob"] = sign_in(store, old_key, "Bob")

        interruption = Interruption(at, sign_in_as_bob)
        with interruption.during_steps_of(store):
            keys["Ada"] = sign_in(store, old_key, "Ada")
        if not interruption.has_run:
            break
        tries.append(at)
        stored = {user: dict(store(key).items()) for user, key in keys.items()}
        is_mixed = any(
            data.keys() - {"cart"} != {"user", f"order of {user}"} or data["user"] != user
            for user, data in stored.items()
        )
        if store(old_key).items() or is_mixed or keys["Ada"] == keys["Bob"]:
            succeeded.append(at)
    # At least the session is read, inserted under its new key, saved, and deleted.
    assert len(tries) >= 4
    report("Two sign-ins at once: an old key that opens, or another user's data", tries, succeeded)
