from argparse import ArgumentParser
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, SessionBase
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from cookieproj.devices import row_identity
from cookieproj.devices.models import SignedInSession
from cookieproj.engines import running_engine
from cookieproj.engines.checks import sessions_outlive_the_process
from cookieproj.engines.constants import CACHE
from demo.constants import DEMODATA_LABEL
from demo.demo_accounts import ACCOUNTS, PASSWORD
from demo.models import User


class Command(BaseCommand):
    help = _("Create demo accounts and a few sessions, so that no page of a new site is empty.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--if-debug",
            action="store_true",
            help=_("Do nothing if DEBUG is off, instead of failing."),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            if options["if_debug"]:
                return
            raise CommandError(
                _("DEBUG is off: this command creates no accounts with known passwords.")
            )
        users = [create_account(name, is_admin) for name, is_admin in ACCOUNTS.items()]
        for user in users:
            has_demo_password = user.check_password(PASSWORD)
            if user.is_superuser:
                text = _("Demo account %(name)s, password %(password)s, may use the admin")
            else:
                text = _("Demo account %(name)s, password %(password)s")
            password = PASSWORD if has_demo_password else _("(changed)")
            self.stdout.write(text % {"name": user.username, "password": password})
        self.stdout.write(create_sessions(users))


def create_account(name: str, is_admin: bool) -> User:
    """Return the account, created if it is missing. An existing account stays as it is."""
    user, created = User.objects.get_or_create(
        username=name, defaults={"is_staff": is_admin, "is_superuser": is_admin}
    )
    if created:
        user.set_password(PASSWORD)
        user.save(update_fields=["password"])
    return user


def create_sessions(users: list[User]) -> str:
    """Create the demo sessions that are missing, and return a sentence that says so."""
    session_class = running_engine.store()
    if running_engine.is_held_by_browser():
        return _("No demo sessions: with this engine browsers keep the sessions.")
    if running_engine.name() == CACHE and sessions_outlive_the_process():
        return _("No demo sessions: this cache would lose them at the end of this command.")
    for user in users:
        row_id = str(uuid4())
        data = {
            SESSION_KEY: str(user.pk),
            BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
            HASH_SESSION_KEY: user.get_session_auth_hash(),
        }
        session = create_session(session_class, user.username, data, timedelta(days=14), row_id)
        if session:
            SignedInSession.objects.create(
                pk=row_id,
                user=user,
                # The devices page shows it as the name of the device.
                browser=_("Example from manage.py demodata"),
                expires=session.get_expiry_date(),
                **row_identity.identity(session),
            )
    create_session(session_class, "anonymous", {"cart": ["cookie", "milk"]}, timedelta(days=1))
    create_session(session_class, "expired", {"cart": ["crumbs"]}, timedelta(days=-1))
    return _("Demo sessions: three signed in, one anonymous, one expired.")


def create_session(
    session_class: type[SessionBase],
    name: str,
    data: dict[str, Any],
    lifetime: timedelta,
    row_id: str = "",
) -> SessionBase | None:
    """Create a session and return it, or return None if it exists.

    Its key is derived from SECRET_KEY, so that it is secret and the same on each run.
    ``row_id`` is its row in the registry of signed-in sessions, if it has one.
    """
    purpose = f"{settings.SESSION_ENGINE} {name}"
    key, *fallback_keys = (
        salted_hmac(DEMODATA_LABEL, purpose, secret=secret, algorithm="sha256").hexdigest()[:32]
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    )
    if any(map(session_class().exists, (key, *fallback_keys))):
        return None
    session = session_class()
    session.update(data)
    session.set_expiry(timezone.now() + lifetime)
    if row_id:
        row_identity.mark(session, row_id)
    # The key is set last: a session loads itself by its key, and drops a key that is not stored.
    session._session_key = key
    try:
        session.save(must_create=True)
    except CreateError:
        # It has expired, and its store has not deleted it yet.
        return None
    return session
