from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import transaction
from pytest_django import DjangoDbBlocker

from tests.conftest import connected, new_database


@pytest.fixture(scope="session", params=["postgresql", "mariadb"])
def database(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> str:
    url = new_database(request.getfixturevalue(f"{request.param}_url"), "operating")
    with django_db_blocker.unblock(), connected(url):
        call_command("migrate", verbosity=0)
    return url


@pytest.fixture(autouse=True)
def on_server(database: str, request: pytest.FixtureRequest, db: None) -> Iterator[None]:
    """Make the server's database ``default``, and undo afterwards what the test wrote."""
    django_db = request.node.get_closest_marker("django_db")
    with connected(database):
        if django_db and django_db.kwargs.get("transaction"):
            yield
            call_command("flush", interactive=False, verbosity=0)
        else:
            # Marked like the transaction of Django's TestCase: durable blocks may run inside.
            test_transaction = transaction.atomic()
            test_transaction._from_testcase = True  # type: ignore[attr-defined]
            with test_transaction:
                yield
                transaction.set_rollback(True)
