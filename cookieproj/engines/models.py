from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from .entries import ListedSession
from .session_keys import masked


class StoredSession(models.Model):
    """A session in the running engine's store, for the admin. It has no table."""

    # The encrypted session key, for URLs: see ``cookieproj.engines.inspector``.
    name = models.CharField(primary_key=True, max_length=200)

    class Meta:
        managed = False
        default_permissions = ("view", "delete")
        verbose_name = _("stored session")
        verbose_name_plural = _("stored sessions")

    listed: ListedSession
    user: Any = None

    def __str__(self) -> str:
        return f"{self.key}, {self.user}" if self.user else self.key

    @property
    def key(self) -> str:
        """The part of the session key that may be shown."""
        return masked(self.listed.key)

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody is signed in. A user who is not found may be anybody, so that is False."""
        return self.listed.user_id is None
