"""Listening to the deletion of session rows by other code than the engines."""

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

# The dispatch_uid of the engines' own listeners. An engine knows which rows it deletes itself, so
# these listeners do not count in ``has_other_listeners``.
OUR_DISPATCH_UID = "cookieproj.engines"


receivers: list[Callable[..., None]] = []


def notify_receivers(**kwargs: Any) -> None:
    for receiver in receivers:
        receiver(**kwargs)


def on_row_deleted(receiver: Callable[..., None]) -> None:
    """Call ``receiver`` after a row of any session model is deleted through Django.

    Django matches a signal's sender by its exact class, so this connects to each session model and
    each proxy of one, including models defined later. A listener without a sender would keep
    Django from deleting rows of any table of the site in one statement.
    """

    if receiver not in receivers:
        receivers.append(receiver)

    def listen(sender: type[Model], **kwargs: Any) -> None:
        # Imported here, as an engine can be imported before the site is set up.
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


DELETE_SIGNALS = (pre_delete, post_delete)
SAVE_SIGNALS = (pre_save, post_save)


def has_other_listeners(
    model: type[Model], signals: tuple[ModelSignal, ...] = DELETE_SIGNALS
) -> bool:
    """Whether any receiver but the engines' own listens to these signals of the model."""
    for signal in signals:
        for (dispatch_uid, sender), *_ in signal.receivers:
            if dispatch_uid != OUR_DISPATCH_UID and sender in {id(None), id(model)}:
                return True
    return False
