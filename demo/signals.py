"""What the index of signed-in sessions hears of."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models.signals import post_save, pre_delete
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from . import index, liveness, refusals
from .luxury import is_written
from .models import SignedInSession, User


@receiver(user_logged_in)
def signed_in(request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    # Some sign in without a session: by a token, say.
    if request is not None and hasattr(request, "session"):
        index.begin(request, user)


@receiver(user_logged_out)
def signed_out(request: HttpRequest | None, user: User | None, **kwargs: Any) -> None:
    """Django deletes what is stored. A copy of the cookie shall open nothing either."""
    session = getattr(request, "session", None)
    if session is not None and (row := index.row_of(session, session.session_key)):
        index.leave(row, session, refusals.expiry_of(session), user)
        setattr(request, index.SIGNED_OUT, row)


@receiver(pre_delete, sender=SignedInSession)
def ended(instance: SignedInSession, origin: Any = None, **kwargs: Any) -> None:
    """Before its row goes: if the session cannot be ended, the row stays to be ended later.

    But where it goes with its user: nobody can be signed in as somebody who is not there.
    """
    try:
        liveness.end(instance)
    except liveness.NotEndedError as error:
        if SignedInSession in (type(origin), getattr(origin, "model", None)):
            raise
        liveness.tell_stored(error.reason)


@receiver(post_save, sender=User)
def password_changed(
    instance: User, created: bool, update_fields: frozenset[str] | None, using: str, **kwargs: Any
) -> None:
    """Sessions with the hash of another password have ended.

    The session that changed it gets the new hash in a moment, and its row with it.
    """
    if update_fields is not None and "password" not in update_fields:
        return
    if not created:
        # Somebody may have signed out everywhere since it was read: by that too goes the hash.
        instance.refresh_from_db(using=using, fields=["sign_outs"])
    live = instance.signed_in_sessions.filter(expires__gt=timezone.now())
    ended = live.exclude(auth_hash__in=index.hashes_of(instance))
    # The password is another by now: whoever has changed it must get their new hash.
    is_written(lambda: ended.update(expires=timezone.now()))
