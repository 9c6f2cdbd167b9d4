"""What is asked of a site's users, whichever model AUTH_USER_MODEL names."""

from contextlib import suppress
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import router
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from cookieproj.engines.primary_keys import primary_key

from .user_mixin import SignOutEverywhereMixin


def users() -> QuerySet[Any]:
    """All of them, read where they are written.

    A replica, from which a router may have others read, lags. There the user who has just
    been signed out everywhere is as before, and lets the other devices in; and the one that
    goes on, by the counter of now, is refused.
    """
    model = get_user_model()
    return model._base_manager.using(router.db_for_write(model))


def find_user(pk: Any) -> Any:
    """The user with that primary key; None where there is none, also for what can be no key."""
    known = primary_key(get_user_model(), pk)
    return users().filter(pk=known).first() if known is not None else None


def find_by_name(name: str) -> Any:
    """The user who signs in by that name; None where nobody does."""
    model = get_user_model()
    manager: Any = model._default_manager.db_manager(users().db)
    try:
        # As a sign-in does, where a site's own manager may ignore case.
        return manager.get_by_natural_key(name)
    except (model.DoesNotExist, ValueError):
        # Nobody has what is no number for a numeric name, nor bytes of a shell that are no text.
        return None


def signed_in_user(request: HttpRequest) -> Any:
    """Behind login_required there is one."""
    return request.user


def is_active(path: str) -> Q:
    """A condition on rows that lead to a user by that path: only such as may sign in.

    AbstractBaseUser has ``is_active`` as an attribute; not every model has it as a column.
    """
    return Q(**{f"{path}__is_active": True}) if has_field("is_active") else Q()


def has_field(name: str) -> bool:
    with suppress(FieldDoesNotExist):
        get_user_model()._meta.get_field(name)
        return True
    return False


def password_model() -> type[Model]:
    """The model that has the column: where the user model is a child of another, that may be it."""
    model: type[Model] = get_user_model()
    return model._meta.get_field("password").model if has_field("password") else model


def counts_sign_outs() -> bool:
    """Whether the user model has the counter that ends all sessions of a user at once."""
    model: type[Model] = get_user_model()
    return issubclass(model, SignOutEverywhereMixin)
