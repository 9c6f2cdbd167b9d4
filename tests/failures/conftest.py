"""Sites for tests of failures, on our engines and on Django's."""

import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import copied, prepare, start
from tests.families import FAMILIES
from tests.fault_table import WHOSE, Whose
from tests.servers import StoppablePostgreSQL, StoppableRedis, stoppable_postgresql

from .stopping import during_request, running_profile, stop_point

__all__ = ["during_request", "running_profile", "stop_point"]

SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.failures.settings"}

Variables = Callable[..., dict[str, str]]
Tries = Callable[[int, int], int]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[StoppableRedis]:
    redis = StoppableRedis(tmp_path)
    redis.start()
    yield redis
    redis.kill()


@pytest.fixture(params=WHOSE)
def whose(request: pytest.FixtureRequest) -> Whose:
    whose: Whose = request.param
    return whose


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> Tries:
    """Returns its first argument, and its second with --long."""
    return lambda short, long: long if request.config.getoption("--long") else short


@pytest.fixture(scope="session")
def postgresql() -> Iterator[StoppablePostgreSQL]:
    """A separate server, since these tests stop it."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="cookieproj-"))
        server = start(stack, stoppable_postgresql(Path(folder)))
        prepare(DATABASE_URL=server.url)
        yield server


@pytest.fixture
def variables(whose: Whose, tmp_path: Path, demo_database: Path, mongodb_url: str) -> Variables:
    """Returns the environment of a public site on that engine, ours or Django's."""

    def variables(engine: str, database: str = "", redis: str = "redis://none") -> dict[str, str]:
        return {
            **SETTINGS,
            "SESSION_ENGINE": f"{FAMILIES[whose]}{engine}",
            "DATABASE_URL": database or copied(demo_database, tmp_path),
            "CACHE_URL": f"{redis}/0",
            "MONGODB_URL": mongodb_url,
            "SESSION_FILE_PATH": str(tmp_path),
            "DEBUG": "off",
            "SECRET_KEY": secrets.token_urlsafe(64),
            "ALLOWED_HOSTS": "127.0.0.1",
        }

    return variables


LINES = pytest.StashKey[list[str]]()


@pytest.fixture
def report_line(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Adds a line to the end of the run's output."""
    return pytestconfig.stash.setdefault(LINES, []).append


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if lines := config.stash.get(LINES, None):
        terminalreporter.section("failures")
        terminalreporter.write_line("\n".join(lines))
