"""A store that is full, as /break/ tries it, and what a browser gets then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware as DjangoMiddleware
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils.crypto import get_random_string
from pytest_django import Settings
from redis import Redis

from cookieproj.engines.constants import DB
from cookieproj.engines.middleware import SessionMiddleware
from cookieproj.settings.caches import caches
from demo.attacks.filling import full, in_small_database, small_database, use_while_full
from demo.attacks.targets import djangos_and_ours
from tests.servers import StoppableRedis
from tests.stores import forget_pending

pytestmark = pytest.mark.django_db

DJANGOS, OURS = djangos_and_ours(DB)


@contextmanager
def full_redis(server: StoppableRedis) -> Iterator[None]:
    with Redis(port=server.port) as client:
        client.config_set("maxmemory", "1")
        yield
        client.config_set("maxmemory", "0")


def test_full_redis_keeps_session_and_signs_out(redis: StoppableRedis, settings: Settings) -> None:
    settings.CACHES = caches(f"{redis.url}/0")
    forget_pending()
    djangos, ours = (
        list(use_while_full("", engine.store, full_redis(redis)))
        for engine in djangos_and_ours("cache")
    )
    assert [trial.withstood for trial in djangos + ours] == [True] * 4
    assert djangos[0].outcome == "500, and the session stays. OutOfMemoryError"
    assert ours[0].outcome.startswith("503, and the session stays. Give it more space")


def status_while_full(middleware_class: Any, session_class: Any) -> int:
    """Return the status of a request that changes its session while the database is full."""

    def view(request: HttpRequest) -> HttpResponse:
        request.session["text"] = get_random_string(20_000)
        return HttpResponse()

    middleware = middleware_class(view)
    middleware.SessionStore = session_class
    request = RequestFactory().get("/")
    with small_database() as database:
        session = session_class()
        session["color"] = "blue"
        session.save()
        request.COOKIES["sessionid"] = session.session_key
        with full(database):
            response: HttpResponse = middleware(request)
        assert dict(session_class(session.session_key).items()) == {"color": "blue"}
    return response.status_code


def test_full_database_is_503_and_not_an_ended_session() -> None:
    assert status_while_full(SessionMiddleware, in_small_database(OURS)) == 503
    with pytest.raises(SessionInterrupted):
        status_while_full(DjangoMiddleware, in_small_database(DJANGOS))


def test_small_database_replaces_connection_within_block_only() -> None:
    before = connections["default"]
    paths = []

    def fail() -> None:
        with small_database() as database:
            assert connections["default"] is database
            paths.append(Path(database.settings_dict["NAME"]))
            assert paths[0].exists()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert connections["default"] is before
    assert not paths[0].exists()


@pytest.mark.parametrize(
    ("save", "outcome"),
    [
        (lambda self, must_create=False: None, "Nothing reports that the change is lost."),
        (lambda self, must_create=False: self.delete(), "The session is lost."),
    ],
)
def test_store_that_loses_data_is_shown_as_broken(
    save: Callable[..., None], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = in_small_database(OURS)

    @contextmanager
    def with_broken_save() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(ours, "save", save)
            yield

    with small_database():
        change, sign_out = use_while_full("", ours, with_broken_save())
    assert (change.withstood, change.outcome) == (False, outcome)
    assert sign_out.withstood
