from argparse import ArgumentParser
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from cookieproj.devices import session_registry
from cookieproj.devices.models import SignedInSession
from cookieproj.engines import running_engine
from cookieproj.engines.checks import sessions_outlive_the_process
from cookieproj.engines.constants import CACHE
from demo.constants import DEMODATA_LABEL
from demo.models import User

# All may be known: these accounts are made only while DEBUG is on.
PASSWORD = "cookies"  # noqa: S105
ACCOUNTS = {"admin": True, "ada": False, "grace": False}


class Command(BaseCommand):
    help = _("Make demo accounts and a few sessions, so that nothing is empty at first sight.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--if-debug",
            action="store_true",
            help=_("Do nothing, instead of refusing, when DEBUG is off."),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            if options["if_debug"]:
                return
            raise CommandError(_("DEBUG is off: accounts with known passwords are not made here."))
        users = [account(name, is_admin) for name, is_admin in ACCOUNTS.items()]
        for user in users:
            known = user.check_password(PASSWORD)
            if user.is_superuser:
                text = _("Demo account %(name)s, password %(password)s, may use the admin")
            else:
                text = _("Demo account %(name)s, password %(password)s")
            password = PASSWORD if known else _("(changed)")
            self.stdout.write(text % {"name": user.username, "password": password})
        self.stdout.write(made_sessions(users))


def account(name: str, is_admin: bool) -> User:
    user, created = User.objects.get_or_create(
        username=name, defaults={"is_staff": is_admin, "is_superuser": is_admin}
    )
    if created:
        user.set_password(PASSWORD)
        user.save(update_fields=["password"])
    return user


def made_sessions(users: list[User]) -> str:
    store = running_engine.store()
    if running_engine.is_held_by_browser():
        return _("No demo sessions: on this engine the browsers hold them.")
    if running_engine.name() == CACHE and sessions_outlive_the_process():
        return _("No demo sessions: on this cache they would end with this command.")
    for user in users:
        row = str(uuid4())
        signed_in = {
            SESSION_KEY: str(user.pk),
            BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
            HASH_SESSION_KEY: user.get_session_auth_hash(),
        }
        session = make_session(store, user.username, signed_in, timedelta(days=14), row)
        if session:
            SignedInSession.objects.create(
                pk=row,
                user=user,
                browser="demodata",
                expires=session.get_expiry_date(),
                **session_registry.identity(session),
            )
    make_session(store, "anonymous", {"cart": ["cookie", "milk"]}, timedelta(days=1))
    make_session(store, "expired", {"cart": ["crumbs"]}, timedelta(days=-1))
    return _("Demo sessions: three signed in, one anonymous, one expired.")


def make_session(
    store: type[SessionBase], name: str, data: dict[str, Any], left: timedelta, row: str = ""
) -> SessionBase | None:
    """Make a session; None if it is there. Its key, ever the same, is as secret as SECRET_KEY."""
    purpose = f"{settings.SESSION_ENGINE} {name}"
    key, *previous = (
        salted_hmac(DEMODATA_LABEL, purpose, secret=secret, algorithm="sha256").hexdigest()[:32]
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    )
    if any(map(store().exists, (key, *previous))):
        return None
    session = store()
    session.update(data)
    session.set_expiry(timezone.now() + left)
    if row:
        session_registry.mark(session, row)
    # Only now: a session that is given a key first looks for it, and drops one it does not find.
    session._session_key = key
    session.save(must_create=True)
    return session
