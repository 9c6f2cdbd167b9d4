"""Signals of the engines, and hearing of rows that somebody else deletes."""

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.db.models.signals import (
    ModelSignal,
    class_prepared,
    post_delete,
    post_save,
    pre_delete,
    pre_save,
)
from django.dispatch import Signal

# Sessions are about to move: ``keys`` (a list of session keys) from ``old`` to ``new``, both an
# EngineRef. Sent by movesessions before the originals are deleted; an error keeps them there.
sessions_moved = Signal()

# Somebody has deleted a stored session in the admin: its ``session_key``.
stored_session_deleted = Signal()

# The dispatch_uid of the engines' own listeners: what an engine does it need not be told.
OUR_DISPATCH_UID = "cookieproj.engines"


receivers: list[Callable[..., None]] = []


def notify_receivers(**kwargs: Any) -> None:
    for receiver in receivers:
        receiver(**kwargs)


def on_row_deleted(receiver: Callable[..., None]) -> None:
    """Call it after a row of any model of sessions is deleted, by the row or by a query.

    A signal goes by the very class, so each model, and each proxy of one, is listened
    to by itself: those that there are and those to come. Without a sender, no table of
    the site could be deleted from in one statement any more.
    """

    if receiver not in receivers:
        receivers.append(receiver)

    def listen(sender: type[Model], **kwargs: Any) -> None:
        # Only here, as an engine can be imported before the site is set up.
        from django.contrib.sessions.base_session import AbstractBaseSession  # noqa: PLC0415

        if issubclass(sender, AbstractBaseSession) and not sender._meta.abstract:
            post_delete.connect(notify_receivers, sender=sender, dispatch_uid=OUR_DISPATCH_UID)

    def listen_to_all(model: type[Model]) -> None:
        for subclass in model.__subclasses__():
            listen(subclass)
            listen_to_all(subclass)

    if apps.apps_ready:
        listen_to_all(Model)
    class_prepared.connect(listen, weak=False, dispatch_uid=OUR_DISPATCH_UID)


DELETIONS = (pre_delete, post_delete)
SAVES = (pre_save, post_save)


def has_other_listeners(model: type[Model], signals: tuple[ModelSignal, ...] = DELETIONS) -> bool:
    """Whether anybody but the engines listens to these signals of that model."""
    return any(
        listener != OUR_DISPATCH_UID and sender in {id(None), id(model)}
        for signal in signals
        for (listener, sender), *_ in signal.receivers
    )
