"""Finds users, and describes the model that AUTH_USER_MODEL names."""

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
    """Return all users, read from the primary database.

    On a lagging replica a user who was just signed out everywhere has the old counter: it would
    accept the other devices and refuse the one that stays signed in.
    """
    model = get_user_model()
    return model._base_manager.using(router.db_for_write(model))


def find_user(pk: Any) -> Any:
    """Return the user with that primary key; None if there is none or the key is invalid."""
    valid_pk = primary_key(get_user_model(), pk)
    return users().filter(pk=valid_pk).first() if valid_pk is not None else None


def find_by_name(name: str) -> Any:
    """Return the user who signs in with that name; None if there is none."""
    model = get_user_model()
    manager: Any = model._default_manager.db_manager(users().db)
    try:
        # As at a sign-in: a site's own manager may ignore case.
        return manager.get_by_natural_key(name)
    except (model.DoesNotExist, ValueError):
        # A ValueError: a numeric name that is no number, or bytes of a shell that are no text.
        return None


def signed_in_user(request: HttpRequest) -> Any:
    """Return the user of a request that has passed ``login_required``."""
    return request.user


def is_active(path: str) -> Q:
    """Return the condition that the user at that path of relations is active.

    It is empty if the user model has no such column. AbstractBaseUser has only an attribute.
    """
    return Q(**{f"{path}__is_active": True}) if has_field("is_active") else Q()


def has_field(name: str) -> bool:
    """Whether the user model has that field."""
    with suppress(FieldDoesNotExist):
        get_user_model()._meta.get_field(name)
        return True
    return False


def email_field() -> str:
    """Return the name of the field with a user's e-mail address; empty if there is none."""
    model: Any = get_user_model()
    name: str = getattr(model, "get_email_field_name", str)()
    return name if has_field(name) else ""


def password_model() -> type[Model]:
    """Return the model that has the password column: the user model or a parent of it."""
    model: type[Model] = get_user_model()
    return model._meta.get_field("password").model if has_field("password") else model


def counts_sign_outs() -> bool:
    """Whether the user model has the counter that ends all sessions of a user at once."""
    model: type[Model] = get_user_model()
    return issubclass(model, SignOutEverywhereMixin)
