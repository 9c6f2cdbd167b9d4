"""Hearing of rows that somebody else deletes."""

from collections.abc import Callable
from typing import Any

from django.contrib.sessions.base_session import AbstractBaseSession
from django.db.models import Model
from django.db.models.signals import class_prepared, post_delete, pre_delete

# The dispatch_uid of the engines' own listeners: what an engine does it need not be told.
OURS = "cookieproj.engines"


def hear_deletions(receiver: Callable[..., None]) -> None:
    """Call it after a row of any model of sessions is deleted, by the row or by a query.

    A signal goes by the very class, so each model, and each proxy of one, is listened
    to by itself: those that there are and those to come. Without a sender, no table of
    the site could be deleted from in one statement any more.
    """

    def listen(sender: type[Model], **kwargs: Any) -> None:
        if issubclass(sender, AbstractBaseSession) and not sender._meta.abstract:
            post_delete.connect(receiver, sender=sender, dispatch_uid=OURS)

    def listen_to_all(model: type[Model]) -> None:
        for subclass in model.__subclasses__():
            listen(subclass)
            listen_to_all(subclass)

    listen_to_all(AbstractBaseSession)
    class_prepared.connect(listen, weak=False, dispatch_uid=OURS)


def others_hear(model: type[Model]) -> bool:
    """Whether anybody but the engines listens to the end of that model's rows."""
    listeners = {
        listener
        for signal in (pre_delete, post_delete)
        for (listener, sender), *_ in signal.receivers
        if sender in {id(None), id(model)}
    }
    return bool(listeners - {OURS})
