"""What a request costs beside Django's engines, Flask, Starlette, and the bare stores."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from django.conf import settings
from django.core.management import call_command
from django.template.loader import render_to_string
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from cookieproj.settings.caches import caches
from demo.measuring import chart
from tests.conftest import connected, forget_folder, new_database
from tests.sites import ROOT

from . import contest, profiling
from .contest import AIMS, Aim, Contest
from .machine import machine

REQUESTS = 1000

PICTURE = ROOT / "docs" / "requests.svg"


@pytest.fixture(scope="module")
def entered(
    redis_url: str,
    postgresql_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Contest]:
    """Once they have all served, on the settings of this site and as in production."""
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
        others = tmp_path_factory.mktemp("others")
        entered = stack.enter_context(contest.contest(redis_url, url, others))
        contest.serve(entered, REQUESTS)
        yield entered


def test_what_each_costs(
    entered: Contest, figures: Callable[..., None], pytestconfig: pytest.Config
) -> None:
    figures("requests", contest.table(entered))
    figures("aims", (*contest.aims(entered), "", f"{machine()}, PostgreSQL 18, Redis 6.2."))
    figures("reasons", contest.reasons())
    figures("profile", profiling.table(contest.beyond_reach(entered), REQUESTS))
    if pytestconfig.getoption("--figures"):
        caption = f"Median microseconds of a request that writes. {machine()}."
        drawing = chart.picture(contest.panels(entered), caption)
        PICTURE.write_text(render_to_string("demo/benchmark.svg", drawing))


@pytest.mark.parametrize("aim", AIMS, ids=lambda aim: f"{aim.what} against {aim.against}")
def test_it_is_no_dearer_than_it_may_be(aim: Aim, entered: Contest) -> None:
    reached = aim.reached(entered)
    if aim.why:
        pytest.xfail(f"{aim.what} against {aim.against}: {reached:.2f}. {aim.why}")
    assert reached <= aim.limit
