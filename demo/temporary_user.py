"""A user who exists for an attack or a question only."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import router, transaction
from django.utils.crypto import get_random_string

from .models import User


@contextmanager
def temporary_user() -> Iterator[User]:
    """Yield a saved user in a transaction, and roll it back after the block."""
    using = router.db_for_write(User)
    with transaction.atomic(using=using):
        yield User.objects.create(username=get_random_string(20))
        transaction.set_rollback(True, using=using)
