"""DEVICES_LIMIT, when a user signs in on many devices at once, on each database."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pytest
from django.contrib.auth.hashers import make_password
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.devices.models import SignedInSession
from cookieproj.engines.constants import DJANGO_ENGINE_NAMES, DJANGO_ENGINES, OUR_ENGINES
from demo.models import User
from tests.browsers import browser, is_in
from tests.conftest import connected, copied, new_database
from tests.families import FAMILIES

LIMIT, SIGN_INS = 3, 20

FORM = {"username": "ada", "password": "cookies"}

ENGINES = [
    *(f"{family}{name}" for family in FAMILIES.values() for name in DJANGO_ENGINE_NAMES[:-1]),
    f"{OUR_ENGINES}signed_cookies",
]


# Of Django's: a save that is under way when the session ends may store it again.
RESTORING = [f"{DJANGO_ENGINES}{name}" for name in ("cache", "file")]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """A separate database with the user, for connections of many threads."""
    if request.param == "sqlite":
        url = copied(request.getfixturevalue("demo_database"), tmp_path)
    elif request.param == "postgresql":
        server, template = map(request.getfixturevalue, ("postgresql_url", "demo_postgresql"))
        url = new_database(server, f"limit_{uuid4().hex}", template)
    else:
        url = new_database(request.getfixturevalue("mariadb_url"), f"limit_{uuid4().hex}")
    with django_db_blocker.unblock(), connected(url):
        if request.param == "mariadb":
            call_command("migrate", verbosity=0)
        SignedInSession.objects.all().forget()
        User.objects.filter(username="ada").delete()
        User.objects.create(username="ada", password=make_password("cookies"))
        yield


def sign_in_at_once() -> tuple[Counter[int], list[Client]]:
    """Sign in on SIGN_INS devices. Return the numbers of statuses, and the signed-in devices."""
    clients = [browser() for _ in range(SIGN_INS)]
    for client in clients:
        client.raise_request_exception = False
    all_threads = Barrier(SIGN_INS)

    def sign_in(client: Client) -> int:
        # A thread's first query connects.
        connection.ensure_connection()
        all_threads.wait(timeout=60)
        try:
            return client.post("/auth/sign-in/", FORM).status_code
        finally:
            connections.close_all()
            caches.close_all()

    with ThreadPoolExecutor(SIGN_INS) as pool:
        statuses = Counter(pool.map(sign_in, clients))
    return statuses, [client for client in clients if is_in(client)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("over", ["refuse", "end_oldest"])
def test_exactly_as_many_devices_stay_signed_in(
    over: str, engine: str, database: None, empty_stores: None, settings: Settings
) -> None:
    settings.SESSION_ENGINE = engine
    settings.DEVICES_LIMIT, settings.DEVICES_OVER_LIMIT = LIMIT, over
    statuses, clients = sign_in_at_once()
    if over == "end_oldest" and engine in RESTORING:
        assert len(clients) >= LIMIT
    else:
        assert len(clients) == LIMIT
    assert SignedInSession.objects.live().count() == LIMIT
    # A session may have ended before its own response: Django answers 400.
    assert set(statuses) <= ({302, 403} if over == "refuse" else {302, 400})
    if over == "refuse":
        assert statuses[302] == LIMIT
