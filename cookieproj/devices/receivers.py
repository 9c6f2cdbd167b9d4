"""Receivers of signals, which keep the registry of signed-in sessions up to date."""

from functools import partial
from itertools import islice
from typing import Any

from django.apps import apps
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import router
from django.db.models import Model
from django.db.models.signals import class_prepared, post_save, pre_delete
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from cookieproj.engines import running_engine
from cookieproj.engines.engine_registry import EngineRef
from cookieproj.engines.exceptions import SessionStoreError
from cookieproj.engines.merge import Data
from cookieproj.engines.signals import (
    copied_session_ended,
    sessions_moved,
    stored_session_deleted,
)
from cookieproj.engines.timeouts import set_auth_time

from . import (
    auth_hashes,
    clear_site_data,
    conf,
    outdated_sessions,
    refused_sessions,
    session_registry,
    signals,
    stored_sessions,
)
from .bound.registering import offer
from .copied_sessions import COPIED_ROW_ATTRIBUTE
from .deferred_writes import try_write
from .models import SignedInSession
from .outdated_sessions import BATCH_SIZE
from .row_identity import id_of, registered_id
from .signals_on_commit import announce_end, on_commit
from .user_model import counts_sign_outs, password_model, users


@receiver(user_logged_in)
def on_signed_in(request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    # A sign-in without a session, by a token for example, is not registered.
    if request is not None and hasattr(request, "session"):
        set_auth_time(request.session)
        if conf.binds_sessions():
            offer(request, user)
        session_registry.register(request, user)


@receiver(user_logged_out)
def on_signed_out(request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """Remove the row, and refuse copies of the cookie. Django deletes the stored session."""
    if request is not None and user is not None:
        setattr(request, clear_site_data.HAS_SIGNED_OUT, True)
    session = getattr(request, "session", None)
    if session is not None and (row_id := id_of(session, session.session_key)):
        session_registry.deregister(row_id, session, refused_sessions.expiry_of(session), user)
        setattr(request, session_registry.SIGNED_OUT_ATTRIBUTE, row_id)
        if request is not None and user is not None:
            announce_end(session_registry.make_row(request, user, row_id), signals.SIGNED_OUT)


@receiver(user_login_failed)
def on_login_failed(
    credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    signals.sign_in_failed.send_robust(
        sender=SignedInSession, request=request, credentials=credentials
    )


@receiver(pre_delete, sender=SignedInSession)
def on_row_deleted(instance: SignedInSession, origin: Any = None, **kwargs: Any) -> None:
    """End the session before its row is deleted.

    Raises SessionStoreError if the session cannot be ended: the row stays, to be ended later. If
    the row is deleted with its user, the error is only logged: nobody can be signed in as a deleted
    user.
    """
    try:
        stored_sessions.delete_stored_session(instance)
    except SessionStoreError as error:
        if SignedInSession in (type(origin), getattr(origin, "model", None)):
            raise
        stored_sessions.log_left_in_store(getattr(error, "reason", error))
    if instance.expires > timezone.now():
        announce_end(instance, instance.end_reason)


@receiver(copied_session_ended)
def on_copied_session_ended(session: Any, data: Data, **kwargs: Any) -> None:
    """Remove the row of a session that was used under a key that is over.

    The middleware, which has the request, sends the e-mail about it.
    """

    def forget() -> None:
        rows = SignedInSession.objects.select_related("user")
        for row in rows.filter(pk__in=[registered_id(data)]):
            if SignedInSession.objects.filter(pk=row.pk).forget():
                announce_end(row, signals.COPIED)
                note = partial(setattr, session, COPIED_ROW_ATTRIBUTE, row)
                on_commit(note, router.db_for_write(SignedInSession))

    try_write(forget)


def on_password_changed(
    instance: Any, update_fields: frozenset[str] | None, using: str, **kwargs: Any
) -> None:
    """End the sessions whose hash is not that of the new password.

    The session of the current request may still get the new hash, and its row with it, so it is
    checked at the end of the request.
    """
    if update_fields is not None and "password" not in update_fields:
        return
    if using != users().db:
        # A copy in another database, with which nobody signs in.
        return

    def end_sessions() -> None:
        key = password_model()._meta.pk
        for user in users().filter(**{key.name: getattr(instance, key.attname)}):
            if counts_sign_outs():
                # A sign-out everywhere may have raised the counter since the instance was read. The
                # new hash in the current session is computed from the instance.
                instance.sign_outs = user.sign_outs
            rows = SignedInSession.objects.filter(user=user.pk, expires__gt=timezone.now())
            others = rows.exclude(auth_hash__in=auth_hashes.hashes_of(user))
            outdated = outdated_sessions.outdated_among(others.select_related("user"))
            own_id = outdated_sessions.own_row_id(user) if outdated else None
            outdated_sessions.expire_rows([row for row in outdated if str(row.pk) != own_id])

    # The password is saved already, so the request must go on: its session needs the new hash.
    try_write(end_sessions)


@receiver(sessions_moved)
def on_sessions_moved(old: EngineRef, new: EngineRef, keys: list[str], **kwargs: Any) -> None:
    """Update the engine in the rows, before the sessions are deleted from the old store.

    An error here stops the move.
    """
    rows, remaining = SignedInSession.objects.filter(engine=old.name), iter(keys)
    while batch := list(islice(remaining, BATCH_SIZE)):
        rows.with_keys(batch).update(engine=new.name)


@receiver(stored_session_deleted)
def on_stored_session_deleted(session_key: str, **kwargs: Any) -> None:
    SignedInSession.objects.filter(engine__in=running_engine.names()).with_keys(
        [session_key]
    ).forget()


def listen_to_users(sender: type[Model], **kwargs: Any) -> None:
    """Connect ``on_password_changed`` to the model that has the password, and to its children.

    Django sends a signal for exactly one class. The receiver is not connected to all models: for
    session models the engines would then have to save and delete each row through the model.
    """
    if issubclass(sender, password_model()):
        post_save.connect(on_password_changed, sender=sender, dispatch_uid=__name__)


for model in apps.get_models():
    listen_to_users(model)
class_prepared.connect(listen_to_users, dispatch_uid=__name__)
