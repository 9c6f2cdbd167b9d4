"""Sites that are put under faults, on our engines and on Django's."""

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

from .stopping import meanwhile, run, stops

__all__ = ["meanwhile", "run", "stops"]

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
    found: Whose = request.param
    return found


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> Tries:
    """The first number in the suite, the second with --long."""
    return lambda short, long: long if request.config.getoption("--long") else short


@pytest.fixture(scope="session")
def postgresql() -> Iterator[StoppablePostgreSQL]:
    """One of their own, since they stop it."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="cookieproj-"))
        server = start(stack, stoppable_postgresql(Path(folder)))
        prepare(DATABASE_URL=server.url)
        yield server


@pytest.fixture
def variables(whose: Whose, tmp_path: Path, demo_database: Path) -> Variables:
    """Of a public site on that engine, one of ``whose``."""

    def variables(engine: str, database: str = "", redis: str = "redis://none") -> dict[str, str]:
        return {
            **SETTINGS,
            "SESSION_ENGINE": f"{FAMILIES[whose]}{engine}",
            "DATABASE_URL": database or copied(demo_database, tmp_path),
            "CACHE_URL": f"{redis}/0",
            "SESSION_FILE_PATH": str(tmp_path),
            "DEBUG": "off",
            "SECRET_KEY": secrets.token_urlsafe(64),
            "ALLOWED_HOSTS": "127.0.0.1",
        }

    return variables


SEEN = pytest.StashKey[list[str]]()


@pytest.fixture
def tell(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """A line at the end of the run, of what is no row of the table."""
    return pytestconfig.stash.setdefault(SEEN, []).append


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if lines := config.stash.get(SEEN, None):
        terminalreporter.section("what was seen of faults")
        terminalreporter.write_line("\n".join(lines))
