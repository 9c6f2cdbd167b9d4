"""What the registry of signed-in sessions hears of."""

from itertools import islice
from typing import Any

from django.apps import apps
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import Model
from django.db.models.signals import class_prepared, post_save, pre_delete
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from cookieproj.engines import running_engine
from cookieproj.engines.engine_registry import EngineRef
from cookieproj.engines.exceptions import SessionStoreError
from cookieproj.engines.signals import sessions_moved, stored_session_deleted

from . import outdated, refused_sessions, session_registry, signals, stored_sessions
from .announcements import announce_end
from .deferred_writes import try_write
from .models import SignedInSession
from .outdated import BATCH
from .user_model import counts_sign_outs, password_model, users


@receiver(user_logged_in)
def on_signed_in(request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    # Some sign in without a session: by a token, say.
    if request is not None and hasattr(request, "session"):
        session_registry.register(request, user)


@receiver(user_logged_out)
def on_signed_out(request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """Django deletes what is stored. A copy of the cookie shall open nothing either."""
    session = getattr(request, "session", None)
    if session is not None and (row := session_registry.id_of(session, session.session_key)):
        session_registry.deregister(row, session, refused_sessions.expiry_of(session), user)
        setattr(request, session_registry.SIGNED_OUT, row)
        if request is not None and user is not None:
            announce_end(session_registry.make_row(request, user, row), signals.SIGNED_OUT)


@receiver(user_login_failed)
def on_login_failed(
    credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    signals.sign_in_failed.send_robust(
        sender=SignedInSession, request=request, credentials=credentials
    )


@receiver(pre_delete, sender=SignedInSession)
def on_row_deleted(instance: SignedInSession, origin: Any = None, **kwargs: Any) -> None:
    """Before its row goes: if the session cannot be ended, the row stays to be ended later.

    But where it goes with its user: nobody can be signed in as somebody who is not there.
    """
    try:
        stored_sessions.delete_stored_session(instance)
    except SessionStoreError as error:
        if SignedInSession in (type(origin), getattr(origin, "model", None)):
            raise
        stored_sessions.log_left_in_store(getattr(error, "reason", error))
    if instance.expires > timezone.now():
        announce_end(instance, instance.end_reason)


def on_password_changed(
    instance: Any, update_fields: frozenset[str] | None, using: str, **kwargs: Any
) -> None:
    """Sessions with the hash of another password have ended.

    The session that changed it may get the new hash in a moment, and its row with it: whether it
    did is looked up when the request has been answered.
    """
    if update_fields is not None and "password" not in update_fields:
        return
    if using != users().db:
        # A copy in another database, which nobody signs in by.
        return

    def end() -> None:
        key = password_model()._meta.pk
        for user in users().filter(**{key.name: getattr(instance, key.attname)}):
            if counts_sign_outs():
                # Somebody may have signed out everywhere since it was read: by that too goes the
                # hash that the session gets.
                instance.sign_outs = user.sign_outs
            rows = SignedInSession.objects.filter(user=user.pk, expires__gt=timezone.now())
            others = rows.exclude(auth_hash__in=session_registry.hashes_of(user))
            listed = outdated.outdated_among(others.select_related("user"))
            own = outdated.own_row(user) if listed else None
            outdated.end([row for row in listed if str(row.pk) != own])

    # The password is another by now: whoever has changed it must get their new hash.
    try_write(end)


@receiver(sessions_moved)
def on_sessions_moved(old: EngineRef, new: EngineRef, keys: list[str], **kwargs: Any) -> None:
    """Before they go from the old store: nothing is moved that its rows do not know of."""
    rows, rest = SignedInSession.objects.filter(engine=old.name), iter(keys)
    while batch := list(islice(rest, BATCH)):
        rows.with_keys(batch).update(engine=new.name)


@receiver(stored_session_deleted)
def on_stored_session_deleted(session_key: str, **kwargs: Any) -> None:
    SignedInSession.objects.filter(engine__in=running_engine.names()).with_keys(
        [session_key]
    ).forget()


def listen_to_users(sender: type[Model], **kwargs: Any) -> None:
    """To each model that has the column of the password: a signal goes by the very class.

    Not to all models: of those of sessions the engines would think that somebody else listens.
    """
    if issubclass(sender, password_model()):
        post_save.connect(on_password_changed, sender=sender, dispatch_uid=__name__)


for model in apps.get_models():
    listen_to_users(model)
class_prepared.connect(listen_to_users, dispatch_uid=__name__)
