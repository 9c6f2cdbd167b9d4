"""The time of the admin's lists does not depend on the number of sessions."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.cache import caches as cache_connections
from django.db import connections
from django.test import Client
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.devices.admin_filters import MAX_ROWS_LISTED
from cookieproj.engines import inspector
from cookieproj.engines.file import SessionStore as FileEngine
from cookieproj.engines.file_expiry import NO_EXPIRY_NANOSECONDS, NS_PER_SECOND
from cookieproj.engines.file_store import FileStore
from cookieproj.settings.caches import caches
from demo.models import User
from tests.conftest import connected, forget_folder, new_database
from tests.sites import manage

SMALL = 1000
LARGE = {"db": 1_000_000, "cache": 1_000_000, "file": 100_000}

STORED = "/admin/cookieproj_engines/storedsession/"
SIGNED_IN = "/admin/cookieproj_devices/signedinsession/"

# The data of a signed-in session.
DATA = {"_auth_user_id": "1", "_auth_user_hash": "h" * 64, "cart": ["cookie", "milk"]}

ROUNDS, REQUESTS = 5, 5

FILL_STORED = """
    INSERT INTO django_session (session_key, session_data, expire_date)
    SELECT md5(number::text), %(data)s, now() + interval '14 day'
    FROM generate_series(1, %(rows)s) AS number
"""
FILL_SIGNED_IN = """
    INSERT INTO cookieproj_devices_signedinsession (id, user_id, engine, sealed_key, auth_hash,
        browser, system, address, signed_in_at, last_seen, expires)
    SELECT gen_random_uuid(), (SELECT min(id) FROM demo_user), 'db', md5(number::text), '',
        'Firefox', (ARRAY['Linux', 'Windows', 'Android', 'iOS'])[1 + number %% 4], '192.0.2.1',
        now() - number * interval '1 second', now(), now() + interval '14 day'
    FROM generate_series(1, %(rows)s) AS number
"""


@dataclass
class FilledSite:
    """A site with that many sessions in its store. Its context configures Django for it."""

    engine: str
    rows: int
    settings: Settings
    database: str
    cache: str
    folder: Path
    client: Client = field(default_factory=Client)

    def __enter__(self) -> None:
        self.settings.SESSION_ENGINE = f"cookieproj.engines.{self.engine}"
        self.settings.SESSION_FILE_PATH = self.folder
        self.settings.CACHES = caches(self.cache)
        forget_folder()
        self.stack = ExitStack()
        self.stack.enter_context(connected(self.database))

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    @property
    def deep(self) -> int:
        """The number of sessions before the deep page."""
        return self.rows * 8 // 10

    def fill(self) -> str:
        """Sign in, fill the store, and return the position of the deep page."""
        User.objects.get_or_create(username="admin", is_staff=True, is_superuser=True)
        self.client.force_login(User.objects.get(username="admin"))
        fill: Callable[[], str] = getattr(self, f"fill_{self.engine}")
        return fill()

    def fill_db(self) -> str:
        parameters: dict[str, str | int] = {"data": FileEngine().encode(DATA), "rows": self.rows}
        with connections["default"].cursor() as cursor:
            cursor.execute(FILL_STORED, parameters)
            cursor.execute(FILL_SIGNED_IN, parameters)
            cursor.execute("VACUUM ANALYZE")
            query = "SELECT session_key FROM django_session ORDER BY session_key OFFSET %s LIMIT 1"
            cursor.execute(query, [self.deep])
            ((key,),) = cursor.fetchall()
        return str(key)

    def fill_cache(self) -> str:
        cache: Any = cache_connections["sessions"]
        client, payload = cache.client.get_client(), cache.client.encode(DATA)
        prefix = cache.make_key("django.contrib.sessions.cache")
        for start in range(0, self.rows, 10_000):
            pipeline = client.pipeline(transaction=False)
            for number in range(start, min(start + 10_000, self.rows)):
                pipeline.set(f"{prefix}{number:032}", payload, ex=1_209_600)
            pipeline.execute()
        cursor, names = client.scan(0, count=100)
        seen = len(names)
        while cursor and seen < self.deep:
            cursor, names = client.scan(cursor, count=100)
            seen += len(names)
        return str(cursor)

    def fill_file(self) -> str:
        payload = FileEngine().encode(DATA)
        now = (
            time.time_ns() // NS_PER_SECOND * NS_PER_SECOND - NS_PER_SECOND + NO_EXPIRY_NANOSECONDS
        )
        for number in range(self.rows):
            path = self.folder / f"sessionid{number:032}"
            path.write_text(payload)
            os.utime(path, ns=(now, now))
        seen = 0
        for start, end, names in FileStore(FileEngine()).folder.blocks(0):
            if seen + len(names) > self.deep:
                return f"{start}:{end}:{sorted(names)[self.deep - seen]}"
            seen += len(names)
        raise AssertionError

    def seconds(self, path: str) -> float:
        """The median of some requests."""
        durations = []
        for _ in range(REQUESTS):
            started = time.perf_counter()
            response = self.client.get(path)
            durations.append(time.perf_counter() - started)
            assert response.status_code == 200
            # The page is full.
            assert response.content.count(b"<tr") > 90
        return statistics.median(durations)


@pytest.fixture(params=LARGE)
def filled_sites(
    request: pytest.FixtureRequest,
    settings: Settings,
    tmp_path: Path,
    postgresql_url: str,
    redis_url: str,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[list[FilledSite]]:
    """A site with a thousand sessions, and one with many."""
    sites = []
    for number, rows in enumerate((SMALL, LARGE[request.param])):
        url = new_database(postgresql_url, f"{request.param}_{rows}")
        assert manage("migrate", "--verbosity=0", DATABASE_URL=url).returncode == 0
        folder = tmp_path / str(rows)
        folder.mkdir()
        cache = f"{redis_url}/{7 + 2 * number}"
        sites.append(FilledSite(request.param, rows, settings, url, cache, folder))
    with django_db_blocker.unblock():
        yield sites
    for site in sites:
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            name = f"{site.engine}_{site.rows}"
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_list_of_many_sessions_takes_at_most_twice_as_long(
    filled_sites: list[FilledSite], figures: Callable[..., None]
) -> None:
    small, large = filled_sites
    ratios = {}
    paths = {}
    for site in filled_sites:
        with site:
            position = inspector.encrypt(site.fill(), inspector.POSITION)
            deepest = min(site.rows, MAX_ROWS_LISTED) // 100 - 1
            paths[site.rows] = {
                "first page": STORED,
                "deep page": f"{STORED}?start={position}",
            }
            if site.engine == "db":
                paths[site.rows] |= {
                    "first page of the signed-in": SIGNED_IN,
                    "deep page of the signed-in": f"{SIGNED_IN}?p={deepest}",
                }
    for page in paths[SMALL]:
        durations: dict[int, list[float]] = {site.rows: [] for site in filled_sites}
        for _ in range(ROUNDS):
            for site in filled_sites:
                with site:
                    durations[site.rows].append(site.seconds(paths[site.rows][page]))
        ratios[page] = statistics.median(durations[large.rows]) / statistics.median(
            durations[small.rows]
        )
    figures(
        f"pages {large.engine}",
        [
            f"- `{large.engine}`, {large.rows:,} sessions, {page}: {ratio:.2f}"
            for page, ratio in ratios.items()
        ],
    )
    assert max(ratios.values()) < 2
