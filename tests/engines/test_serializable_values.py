"""A value is stored, or the save raises an error and nothing is lost."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.middleware import SessionMiddleware as DjangosMiddleware
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from cookieproj.engines.constants import EXPIRY_ITEM, MESSAGES_ITEM
from tests.families import IN_COOKIES

from .contract import Engine, on_engines
from .test_stored_alike import PickleSerializer, pickling

__all__ = ["PickleSerializer", "pickling"]

# Django warns about naive datetimes.
pytestmark = pytest.mark.filterwarnings("ignore:DateTimeField")


class Seconds:
    """Like a numpy number: it can be added to a float, and is neither an int nor a float."""

    def __init__(self, number: float) -> None:
        self.number = number

    def __float__(self) -> float:
        return float(self.number)

    __int__ = __index__ = lambda self: int(self.number)

    def __radd__(self, other: float) -> float:
        return other + self.number

    def __le__(self, other: float) -> bool:
        return self.number <= other


EAST, WEST = timezone(timedelta(hours=5)), timezone(timedelta(hours=-5))

EXPIRIES: list[Any] = [
    *(None, 0, 0.0, 300, 300.5, True, False, -1, -60, 10**10, 10**12, -(10**12), 10**30),
    *(float("nan"), float("inf"), Decimal("300.5"), Seconds(300), b"300", [1], [], {}, {"a": 1}),
    *("", "soon", "2999-01-01", "2999-01-01T00:00:00+00:00", "1999-01-01T00:00:00+00:00"),
    *(datetime.max, datetime.min, datetime(2999, 1, 1), date(2999, 1, 1)),  # noqa: DTZ001, DTZ901
    *(datetime.max.replace(tzinfo=zone) for zone in (UTC, EAST, WEST)),
    *(datetime.min.replace(tzinfo=zone) for zone in (UTC, EAST, WEST)),
    *(timedelta(hours=1), timedelta(days=-1), timedelta.max, timedelta.min, object()),
]


def save_and_open(engine: Engine, change: Callable[[Any], None], *, is_new: bool) -> Any:
    """Return the error of the save, or None, and the session as the next request opens it."""
    session = engine.Store()
    session["cart"] = "full"
    if not is_new:
        session.save()
        session = engine.Store(session.session_key)
        session["more"] = 1
    try:
        change(session)
        session.save()
    except (ValueError, TypeError, OverflowError) as caught:
        error: Exception | None = caught
    else:
        error = None
    return error, engine.Store(session.session_key if error is None or not is_new else None)


@on_engines(lambda engine: engine.ours)
@pytest.mark.parametrize(
    "value",
    EXPIRIES,
)
@pytest.mark.parametrize("is_new", [True, False])
def test_expiry_is_stored_or_rejected(pickling: Engine, value: Any, is_new: bool) -> None:
    def set_item(session: Any) -> None:
        session[EXPIRY_ITEM] = value

    for change in (set_item, lambda session: session.set_expiry(value)):
        check_expiry(pickling, change, value, is_new=is_new)


def check_expiry(
    engine: Engine, change: Callable[[Any], None], value: Any, *, is_new: bool
) -> None:
    error, session = save_and_open(engine, change, is_new=is_new)
    if error is None:
        age = session.get_expiry_age()
        data = dict(session.items())
        has_ended = data == {}
        assert has_ended or data["cart"] == "full"
        # The value is stored as it was set, but may have another type.
        if not has_ended and value and not isinstance(value, str | datetime | timedelta):
            assert float(data[EXPIRY_ITEM]) == float(value) == age or age == int(float(value))
    elif not is_new:
        assert dict(session.items()) == {"cart": "full"}


def data_after_set_expiry(engine: Engine, value: Any) -> Any:
    """Return the data that a request loads after a view has set this expiry."""
    session = engine.Store()
    session["cart"] = "full"
    session.save()

    def view(request: HttpRequest) -> HttpResponse:
        request.session.set_expiry(value)
        return HttpResponse()

    request = RequestFactory().get("/", headers={"cookie": f"sessionid={session.session_key}"})
    response: Any = DjangosMiddleware(view)(request)
    cookie = response.cookies["sessionid"].value
    data = dict(engine.Store(cookie).items())
    data.pop(EXPIRY_ITEM, None)
    return data


@on_engines(lambda engine: engine.djangos)
@pytest.mark.parametrize(
    "value",
    EXPIRIES,
)
def test_expiry_that_django_accepts_is_accepted(pickling: Engine, value: Any) -> None:
    data: dict[str, Any] = {}
    ours = Engine(
        pickling.path.replace("django.contrib.sessions.backends", "cookieproj.engines"),
        pickling.database,
        pickling.cache,
    )
    for name, engine in (("djangos", pickling), ("ours", ours)):
        with suppress(Exception):
            data[name] = data_after_set_expiry(engine, value)
    if data.get("djangos"):
        has_ended = data["ours"] == {} and engine.name in IN_COOKIES
        assert has_ended or data["ours"] == data["djangos"]


UNUSABLE = {
    "expiry": ({EXPIRY_ITEM: "soon"}, "cannot expire at 'soon'"),
    "far expiry": ({EXPIRY_ITEM: 10**12}, "cannot expire at 1000000000000"),
    "user": ({SESSION_KEY: "me", HASH_SESSION_KEY: "5e"}, "cannot be signed in as 'me'"),
    "hash": ({SESSION_KEY: "1", HASH_SESSION_KEY: "\ud800"}, "cannot be signed in as '1'"),
    "messages": ({MESSAGES_ITEM: "{"}, "'_messages'"),
}


@on_engines(lambda engine: engine.ours)
@pytest.mark.parametrize(("entry", "text"), UNUSABLE.values(), ids=UNUSABLE)
def test_save_and_cycle_key_reject_invalid_item_and_keep_session(
    engine: Engine, entry: dict[str, Any], text: str
) -> None:
    session = engine.Store()
    session["cart"] = "full"
    session.save()
    key = session.session_key
    session.update(entry)
    for step in (session.save, session.cycle_key):
        with pytest.raises(ValueError, match=text):
            step()
        assert session.session_key == key
    fresh = engine.Store()
    fresh.update(entry)
    with pytest.raises(ValueError, match=text):
        fresh.save()
    assert dict(engine.Store(key).items()) == {"cart": "full"}


@on_engines(lambda engine: engine.ours and engine.on_server)
@pytest.mark.parametrize(("entry", "text"), UNUSABLE.values(), ids=UNUSABLE)
def test_apply_rejects_invalid_item(engine: Engine, entry: dict[str, Any], text: str) -> None:
    (name, value), *others = entry.items()
    session = engine.Store()
    session.update({"cart": "full", **dict(others)})
    session.save()
    again = engine.Store(session.session_key)
    with pytest.raises(ValueError, match=text):
        again.apply(name, lambda _old: value, None)
    again["more"] = 1
    again.save()
    data = dict(engine.Store(session.session_key).items())
    assert (data["cart"], data["more"], data.get(name)) == ("full", 1, None)


@on_engines(lambda engine: engine.ours and engine.on_server and engine.is_mirror)
def test_invalid_item_stored_by_django_is_left_out_of_loaded_session(engine: Engine) -> None:
    path = engine.path.replace("cookieproj.engines", "django.contrib.sessions.backends")
    django_session = Engine(path, engine.database, engine.cache).Store()
    django_session.update({"cart": "full", SESSION_KEY: "me", MESSAGES_ITEM: "{"})
    django_session.save()
    session = engine.Store(django_session.session_key)
    assert dict(session.items()) == {"cart": "full"}
    session["more"] = 1
    session.save()
    assert dict(engine.Store(session.session_key).items()) == {"cart": "full", "more": 1}
