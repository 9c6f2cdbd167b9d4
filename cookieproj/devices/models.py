import uuid
from collections.abc import Iterable

from django.conf import settings
from django.db import models, router
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cookieproj.engines import encryption

from . import user_model
from .constants import INDEX_SEAL
from .primary_manager import PrimaryManager, Row
from .signals import ENDED


class ForgettableQuerySet(models.QuerySet[Row]):
    def forget(self) -> int:
        """Remove rows whose sessions have ended already; ``delete`` ends them first."""
        return self._raw_delete(router.db_for_write(self.model))


class SignedInSessionQuerySet(ForgettableQuerySet["SignedInSession"]):
    def live(self) -> "SignedInSessionQuerySet":
        return self.filter(user_model.is_active("user"), expires__gt=timezone.now())

    def with_keys(self, session_keys: Iterable[str]) -> "SignedInSessionQuerySet":
        """Those with one of these keys, whichever secret key it was sealed with."""
        sealed = [each for key in session_keys for each in encryption.encryptions(key, INDEX_SEAL)]
        return self.filter(sealed_key__in=sealed)


class SignedInSession(models.Model):
    """Where somebody is signed in: the same on every engine, see ``session_registry``.

    Its id is also in the session's data, so it stays when the session key changes. To
    delete a row, by whatever way, is to end its session.

    A session key is a password: whoever knows one is signed in. But no store deletes a
    session by a hash of its key, so the row keeps the key itself, sealed: whoever reads
    this table, or a backup of it, is signed in as nobody without SECRET_KEY. Each key is
    sealed the same way each time, so rows are found by it. With another SECRET_KEY, the
    old one a fallback, a row stays as it is till it is next written. Of the user's
    session hash nothing but equality matters, so the row keeps a digest of it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="signed_in_sessions",
        verbose_name=_("user"),
    )
    engine = models.CharField(_("engine"), max_length=100)
    # Empty where the browser holds the session: there the key is all of its data.
    sealed_key = models.CharField(max_length=200, blank=True, editable=False)
    # A digest of the session hash that the session holds: with another password, it has ended.
    auth_hash = models.CharField(max_length=128, editable=False)
    browser = models.CharField(_("browser"), max_length=100, blank=True)
    system = models.CharField(_("system"), max_length=100, blank=True)
    address = models.GenericIPAddressField(_("address"), null=True)
    signed_in_at = models.DateTimeField(_("signed in"), default=timezone.now)
    # Written again and again, so in no index: PostgreSQL then leaves them all as they are.
    last_seen = models.DateTimeField(_("last seen"), default=timezone.now)
    expires = models.DateTimeField(_("expires"))

    objects = PrimaryManager.from_queryset(SignedInSessionQuerySet)()

    # What ``session_ended`` tells when the row is deleted.
    end_reason = ENDED

    class Meta:
        verbose_name = _("signed-in session")
        verbose_name_plural = _("signed-in sessions")
        # Seen and ended; nobody makes one or changes one by hand.
        default_permissions = ("view", "delete")
        indexes = [
            models.Index(fields=["signed_in_at", "id"], name="devices_signed_in_at"),
            models.Index(fields=["expires"], name="devices_signed_in_expires"),
            models.Index(fields=["engine"], name="devices_signed_in_engine"),
            models.Index(fields=["system"], name="devices_signed_in_system"),
        ]

    def __str__(self) -> str:
        return ", ".join(filter(None, [str(self.user), self.device, self.address]))

    @property
    def session_key(self) -> str:
        """In clear. Empty where the browser holds the session, or where no secret key opens it.

        A session of that last kind is signed out as long as no secret key does: its hash holds
        with none of them either.
        """
        if not self.sealed_key:
            return ""
        try:
            return self.opened_key()
        except encryption.DecryptionError:
            return ""

    @session_key.setter
    def session_key(self, session_key: str) -> None:
        self.sealed_key = encryption.encrypt(session_key, INDEX_SEAL) if session_key else ""

    def opened_key(self) -> str:
        """In clear, of a row that has one. Raises DecryptionError."""
        return encryption.decrypt(self.sealed_key, INDEX_SEAL)

    @property
    def identity(self) -> dict[str, str]:
        """The columns that find the stored session, and tell whether it is still signed in."""
        names = ("engine", "sealed_key", "auth_hash")
        return {name: getattr(self, name) for name in names}

    @property
    def device(self) -> str:
        names = {"browser": self.browser, "system": self.system}
        if all(names.values()):
            return gettext("%(browser)s on %(system)s") % names
        return self.browser or self.system or gettext("unknown device")


class RefusedSession(models.Model):
    """A session that was ended although its browser holds it: refused while its cookie is good."""

    id = models.UUIDField(primary_key=True)
    until = models.DateTimeField(db_index=True)

    objects = PrimaryManager.from_queryset(ForgettableQuerySet)()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.id)
