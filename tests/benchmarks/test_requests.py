"""The time of a request, compared with Django's engines, Flask, Starlette, and the bare stores."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from cookieproj.engines.constants import OUR_ENGINES
from tests.conftest import administered, connected, forget_folder, new_database

from .contest import (
    AIMS,
    PLACES,
    Aim,
    Contest,
    Contestants,
    Place,
    Servers,
    contestants_of,
    display_name,
    median,
    ratios,
    serve,
    summary,
    table,
)
from .drawing import ACCENT, MUTED, picture
from .machine import machine

REQUESTS = 500

URL = Callable[[str], str]


@pytest.fixture(scope="module")
def contest(
    request: pytest.FixtureRequest,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: DjangoDbBlocker,
) -> Contest:
    """The contestants by place, after they have served their requests."""
    folder = tmp_path_factory.mktemp("contest")
    with django_db_blocker.unblock():
        url = database_urls(request, folder)
        servers = Servers(redis_url, url("postgresql"), folder / "peers")
        return {
            place.name: serve_at(
                place,
                with_options(url(place.database), place.options),
                str(request.getfixturevalue(f"{place.cache}_url")),
                servers,
                folder / place.name,
            )
            for place in PLACES
        }


def database_urls(request: pytest.FixtureRequest, folder: Path) -> URL:
    """Return a function from a kind of database to the URL of a new one."""
    urls: dict[str, str] = {"sqlite": f"sqlite:///{folder / 'db.sqlite3'}"}

    def url(kind: str) -> str:
        if kind not in urls:
            urls[kind] = new_database(request.getfixturevalue(f"{kind}_url"), "contest")
        return urls[kind]

    with administered(request.getfixturevalue("mariadb_url")) as execute:
        # As on a site's server, where what is committed is on the disk.
        execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    return url


def with_options(url: str, options: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{options}" if options else url


def serve_at(
    place: Place, database_url: str, cache_url: str, servers: Servers, folder: Path
) -> Contestants:
    """Let the contestants of a place serve their requests, with this site's settings."""
    folder.mkdir()
    forget_folder()
    with (
        connected(database_url, CONN_MAX_AGE=60, CONN_HEALTH_CHECKS=True),
        override_settings(CACHES=place.caches(cache_url), SESSION_FILE_PATH=folder),
    ):
        call_command("migrate", verbosity=0)
        assert not settings.DEBUG
        with contestants_of(place, servers) as contestants:
            serve(contestants, REQUESTS)
    forget_folder()
    return contestants


def test_figures_of_requests_are_printed(
    contest: Contest, figures: Callable[..., None], pytestconfig: pytest.Config
) -> None:
    figures("requests", table(contest))
    figures("summary", summary(contest))
    figures("ratios", (*ratios(contest), "", f"{machine()}."))
    if pytestconfig.getoption("--figures"):
        draw(contest)


@pytest.mark.parametrize("aim", AIMS, ids=str)
def test_request_meets_its_aim(aim: Aim, contest: Contest) -> None:
    measured = aim.measure(contest)
    assert measured <= aim.limit, f"{measured:.2f}"


def draw(contest: Contest) -> None:
    """Draw a bar chart of writes for each place, all with the same scale."""
    writes = {
        place: {
            name: median(contestant, "write")
            for name, contestant in contestants.items()
            if "write" in contestant.kinds
        }
        for place, contestants in contest.items()
    }
    caption = f"Median microseconds of a request that writes. {machine()}."
    heights = list(map(len, writes.values()))
    with picture("requests", (9, 9), caption) as figure:
        places = figure.subplots(len(writes), sharex=True, height_ratios=heights)
        for axes, (place, medians) in zip(places, writes.items(), strict=True):
            names = [display_name(name).replace("`", "") for name in medians]
            colours = [ACCENT if name.startswith(OUR_ENGINES) else MUTED for name in medians]
            bars = axes.barh(names, list(medians.values()), color=colours)
            axes.bar_label(bars, fmt="{:,.0f}", padding=3)
            axes.set_title(place, loc="left", fontsize=10)
            axes.invert_yaxis()
            axes.margins(x=0.1)
