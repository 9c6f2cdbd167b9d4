from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.base_session import BaseSessionManager
from django.contrib.sessions.models import Session
from django.db import models
from django.utils.crypto import salted_hmac
from django.utils.functional import cached_property

# Characters of a session key that people may see.
SHOWN = 8


class User(AbstractUser):
    """Ours from the first migration, so that a later column is no rebuild of the table."""


class StoredSessions(models.QuerySet["StoredSession"]):
    def delete(self) -> tuple[int, dict[str, int]]:
        """By the keys that the table knows: see StoredSession.pk."""
        keys = list(self.values_list("session_key", flat=True))
        return Session.objects.filter(session_key__in=keys).delete()


class StoredSession(Session):
    """Django's session table as the admin shows it.

    A session key is a password: whoever reads one in a page, an address or a log
    is signed in. So people and addresses get to see no more than its beginning.
    """

    objects = BaseSessionManager.from_queryset(StoredSessions)()  # type: ignore[misc]

    @cached_property
    def signed_in(self) -> User | None:
        pk = self.get_decoded().get(SESSION_KEY)
        return User.objects.filter(pk=pk).first() if pk else None

    @property  # type: ignore[no-redef]
    def pk(self) -> str:  # type: ignore[override]
        """What stands for this session in the admin's addresses and log: nobody gets its key there.

        The key's beginning finds the row by its index, the digest picks it among its like.
        """
        digest = salted_hmac("demo.admin", self.session_key, algorithm="sha256").hexdigest()
        return f"{self.session_key[:SHOWN]}-{digest[:32]}"

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        return Session.objects.filter(session_key=self.session_key).delete()

    class Meta:
        proxy = True
        verbose_name = "session"
        verbose_name_plural = "sessions"

    def __str__(self) -> str:
        return partial(self.session_key)


def partial(session_key: str) -> str:
    """The beginning of a session key: enough to tell two apart, too little to use.

    Of a key's 165 bits (32 characters out of 36) 124 stay hidden.
    """
    return f"{session_key[:SHOWN]}…"
