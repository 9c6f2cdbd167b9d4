"""``check`` says that a column ignores case, and how it no longer does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.core.checks import run_checks
from django.db import connection, models
from django.test.utils import isolate_apps
from pytest_django import DjangoDbBlocker, Settings

from cookieproj.engines.collation_checks import session_keys_differ_by_case
from cookieproj.engines.constants import DJANGO_ENGINES
from tests.conftest import administered, connected, new_database
from tests.sites import manage

from .contract import Engine, on_engines
from .test_db import tables
from .test_overrides import made

pytestmark = on_engines(
    lambda engine: engine.database == "mariadb" and engine.name in {"db", "cached_db"}
)


def warnings(databases: list[str] | None = ["default"]) -> list[tuple[str, str]]:  # noqa: B006
    found = session_keys_differ_by_case(databases=databases)
    return [(issue.msg, str(issue.hint)) for issue in found]


@pytest.fixture
def own_table() -> Iterator[None]:
    """For a test that changes it."""
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Session)
        editor.create_model(Session)


def test_the_statement_that_it_names_is_the_remedy(engine: Engine, own_table: None) -> None:
    assert "engines.W012" in {issue.id for issue in run_checks(databases=["default"])}
    [(text, statement)] = warnings()
    assert "session_key of the table django_session" in text
    assert "utf8mb4_general_ci" in text
    session = engine.Store()
    session["a"] = 1
    session.save()
    assert engine.djangos == engine.Store().exists(session.session_key.upper())
    with connection.cursor() as cursor:
        cursor.execute(statement)
    assert warnings() == []
    assert not engine.Store().exists(session.session_key.upper())
    assert engine.Store(session.session_key)["a"] == 1


def test_it_asks_no_database_that_is_not_to_be_asked(engine: Engine) -> None:
    assert warnings(None) == warnings([]) == warnings(["other"]) == []


@pytest.mark.parametrize(
    "collation", ["utf8mb4_bin", "utf8mb4_nopad_bin", "latin1_general_cs", "utf8mb4_unicode_ci"]
)
@on_engines(lambda engine: engine.ours and engine.name == "db")
@isolate_apps("demo")
def test_a_table_of_the_sites_own(engine: Engine, collation: str, settings: Settings) -> None:
    class Own(AbstractBaseSession):
        session_key = models.CharField(
            max_length=40, primary_key=True, db_column="sid", db_collation=collation
        )

        class Meta:
            app_label = "demo"

    store = made(engine, get_model_class=classmethod(lambda cls: Own))
    with pytest.MonkeyPatch.context() as patch, tables(Own):
        patch.setattr("cookieproj.engines.collation_checks.engine_or_none", lambda: store)
        found = warnings()
        assert [collation in text for text, _hint in found] == [True] * collation.endswith("_ci")
        assert all("`sid` varchar(40)" in hint for _text, hint in found)


@on_engines(lambda engine: engine.ours and engine.name == "db")
def test_a_fresh_site_has_a_table_that_is_right(
    engine: Engine, mariadb_url: str, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    url = new_database(mariadb_url, "fresh")
    ran = manage("migrate", DATABASE_URL=url)
    assert ran.returncode == 0, ran.stderr
    ran = manage("check", "--database", "default", DATABASE_URL=url)
    assert "no issues" in ran.stdout
    with connected(url):
        assert warnings() == []
        # Another site's engine is Django's.
        for name in ("db", "cached_db"):
            path = f"{DJANGO_ENGINES}{name}"
            store = __import__(path, fromlist=["SessionStore"]).SessionStore
            session = store()
            session["a"] = 1
            session.save()
            assert not store().exists(session.session_key.upper())
    with administered(mariadb_url) as execute:
        execute("DROP DATABASE fresh")


@on_engines(lambda engine: engine.ours and engine.name == "db")
def test_a_database_that_is_not_there_is_another_checks_matter(
    engine: Engine, mariadb_url: str
) -> None:
    url = new_database(mariadb_url, "empty")
    with connected(url):
        assert warnings() == []
    with administered(mariadb_url) as execute:
        execute("DROP DATABASE empty")
    with connected(url):
        assert warnings() == []
