"""The whole suite on every Python that the machine has, and an audit: nox."""

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """On the Django that requirements.txt names for this Python."""
    session.install("-r", "tests/requirements.txt")
    session.run("pytest", *session.posargs)


@nox.session(python=["3.12", "3.13"])
def tests_lts(session: nox.Session) -> None:
    """On the long-term Django, which newer Pythons run as well."""
    session.install("-r", "tests/requirements.txt")
    session.install("django~=5.2.19")
    session.run("pytest", *session.posargs)


@nox.session(python=["3.11", "3.13"])
def django_suite(session: nox.Session) -> None:
    """Django's own tests of sessions, on our stores."""
    session.install("-r", "requirements.txt")
    session.run("python", "-m", "tests.django_suite", *session.posargs)


@nox.session
def neighbours(session: nox.Session) -> None:
    """Other projects' own tests, on Django's session engine and on ours: docs/neighbours.md."""
    # As a wheel, with its own requirement of Django and nothing of the site; tests has the driver.
    session.install(".", "pymysql~=1.2")
    session.run("python", "-m", "tests.neighbours", *session.posargs)


@nox.session
def audit(session: nox.Session) -> None:
    """Known vulnerabilities of what the site needs, as PyPI tells them."""
    session.install("-r", "requirements.txt", "pip-audit~=2.10")
    session.run("pip-audit", "--local", *session.posargs)
