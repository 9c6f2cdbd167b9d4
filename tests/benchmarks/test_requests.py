"""The time of a request, compared with Django's engines, Flask, Starlette, and the bare stores."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from cookieproj.engines.constants import OUR_ENGINES
from cookieproj.settings.caches import caches
from tests.conftest import connected, forget_folder, new_database

from . import contest, profiling
from .contest import AIMS, Aim, Contest
from .drawing import ACCENT, MUTED, picture
from .machine import machine

REQUESTS = 1000


@pytest.fixture(scope="module")
def contestants(
    redis_url: str,
    postgresql_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Contest]:
    """All contestants after they have served their requests, with this site's settings."""
    url = new_database(postgresql_url, "contest")
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        kept_open = {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
        stack.enter_context(connected(url, **kept_open))
        call_command("migrate", verbosity=0)
        folder = tmp_path_factory.mktemp("sessions")
        stack.enter_context(
            override_settings(CACHES=caches(f"{redis_url}/0"), SESSION_FILE_PATH=folder)
        )
        assert not settings.DEBUG
        forget_folder()
        stack.callback(forget_folder)
        files_of_peers = tmp_path_factory.mktemp("files_of_peers")
        contestants = stack.enter_context(contest.contest(redis_url, url, files_of_peers))
        contest.serve(contestants, REQUESTS)
        yield contestants


def test_figures_of_requests_are_printed(
    contestants: Contest, figures: Callable[..., None], pytestconfig: pytest.Config
) -> None:
    figures("requests", contest.table(contestants))
    figures("aims", (*contest.aims(contestants), "", f"{machine()}, PostgreSQL 18, Redis 6.2."))
    figures("reasons", contest.reasons())
    figures("profile", profiling.table(contest.compared_in_missed_aims(contestants), REQUESTS))
    if pytestconfig.getoption("--figures"):
        draw(dict(contest.writes(contestants)))


@pytest.mark.parametrize("aim", AIMS, ids=lambda aim: f"{aim.subject} against {aim.reference}")
def test_request_meets_its_aim(aim: Aim, contestants: Contest) -> None:
    measured = aim.measure(contestants)
    if aim.missed_because:
        pytest.xfail(f"{aim.subject} against {aim.reference}: {measured:.2f}. {aim.missed_because}")
    assert measured <= aim.limit


def draw(writes: dict[str, dict[str, float]]) -> None:
    """Draw a bar chart for each place, all with the same scale."""
    caption = f"Median microseconds of a request that writes. {machine()}."
    heights = list(map(len, writes.values()))
    with picture("requests", (9, 6.5), caption) as figure:
        places = figure.subplots(len(writes), sharex=True, height_ratios=heights)
        for axes, (place, medians) in zip(places, writes.items(), strict=True):
            names = [contest.display_name(name).replace("`", "") for name in medians]
            colours = [ACCENT if name.startswith(OUR_ENGINES) else MUTED for name in medians]
            bars = axes.barh(names, list(medians.values()), color=colours)
            axes.bar_label(bars, fmt="{:,.0f}", padding=3)
            axes.set_title(place, loc="left", fontsize=10)
            axes.invert_yaxis()
            axes.margins(x=0.1)
