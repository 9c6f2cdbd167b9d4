"""The tables: signed-in sessions, ended ones that are refused, and known devices."""

import uuid
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.db import models, router
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cookieproj.engines import encryption, running_engine
from cookieproj.engines.clock import as_django_stores, from_now
from cookieproj.engines.timeouts import timeouts

from . import user_model
from .constants import REGISTRY_SEAL
from .primary_manager import PrimaryManager, Row
from .signals import ENDED


class ForgettableQuerySet(models.QuerySet[Row]):
    def forget(self) -> int:
        """Delete the rows without a signal, and return their number. Their sessions have ended.

        ``delete`` sends signals, and so ends the sessions.
        """
        return self._raw_delete(router.db_for_write(self.model))


class SignedInSessionQuerySet(ForgettableQuerySet["SignedInSession"]):
    def live(self) -> "SignedInSessionQuerySet":
        """Return the rows that have not expired and whose users are active."""
        return self.filter(user_model.is_active("user"), expires__gt=timezone.now())

    def openable(self) -> "SignedInSessionQuerySet":
        """Return the live rows of sessions that the running engine opens.

        In a handover it opens those of the previous engine too. After a change of engines without
        one, the rows of the old engine stay until they expire, and no device is signed in by them.
        """
        return self.live().filter(engine__in=running_engine.names())

    def with_keys(self, session_keys: Iterable[str]) -> "SignedInSessionQuerySet":
        """Return the rows with one of these session keys, encrypted with any of the secret keys."""
        sealed_keys = [
            sealed_key
            for session_key in session_keys
            for sealed_key in encryption.encryptions(session_key, REGISTRY_SEAL)
        ]
        return self.filter(sealed_key__in=sealed_keys)


class SignedInSession(models.Model):
    """A session in which a user is signed in, on any engine. Deleting the row ends the session.

    The session's data contains the id of the row, which stays when the session key changes: see
    ``row_identity``.

    A session key is as good as a password. A store cannot delete a session by a hash of its key, so
    the row stores the key itself, encrypted ("sealed"): without SECRET_KEY, nobody can sign in with
    a copy of this table. The encryption is deterministic, so a row can be found by its key. After a
    change of SECRET_KEY, with the old one as a fallback, a row stays as it is until it is next
    written. The user's session hash is only compared, so the row stores a digest of it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="signed_in_sessions",
        verbose_name=_("user"),
    )
    engine = models.CharField(_("engine"), max_length=100)
    # The session key, encrypted. Empty if the browser has the session: its key is all of its data.
    sealed_key = models.CharField(max_length=200, blank=True, editable=False)
    # The digest of the session's hash. If the user has another hash now, the session has ended.
    auth_hash = models.CharField(max_length=128, editable=False)
    browser = models.CharField(_("browser"), max_length=100, blank=True)
    system = models.CharField(_("system"), max_length=100, blank=True)
    address = models.GenericIPAddressField(_("address"), null=True)
    signed_in_at = models.DateTimeField(_("signed in"), default=timezone.now)
    # Updated often, so it is in no index: PostgreSQL then need not update any index.
    last_seen = models.DateTimeField(_("last seen"), default=timezone.now)
    expires = models.DateTimeField(_("expires"))
    # Since when the session is bound to its device, and the algorithm of the device's key.
    bound_at = models.DateTimeField(_("bound"), null=True)
    # A default of the database's: while a new version is deployed, the old one inserts rows too.
    bound_by = models.CharField(
        _("key of the device"), max_length=10, blank=True, default="", db_default=""
    )

    objects = PrimaryManager.from_queryset(SignedInSessionQuerySet)()

    # The reason that ``session_ended`` is sent with when the row is deleted.
    end_reason = ENDED

    class Meta:
        verbose_name = _("signed-in session")
        verbose_name_plural = _("signed-in sessions")
        # Nobody adds or changes a row by hand.
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
        """The session key in clear. Empty if the browser has the session, or on a DecryptionError.

        If no secret key decrypts it, the session is signed out, because its hash is not valid with
        any of them either.
        """
        if not self.sealed_key:
            return ""
        try:
            return self.decrypt_key()
        except encryption.DecryptionError:
            return ""

    @session_key.setter
    def session_key(self, session_key: str) -> None:
        self.sealed_key = encryption.encrypt(session_key, REGISTRY_SEAL) if session_key else ""

    def decrypt_key(self) -> str:
        """Return the session key in clear; the row must have one. Raises DecryptionError."""
        return encryption.decrypt(self.sealed_key, REGISTRY_SEAL)

    @property
    def latest_end(self) -> datetime | None:
        """When the session ends whatever is done; None without SESSION_ABSOLUTE_AGE."""
        absolute = timeouts().absolute
        if absolute is None:
            return None
        # For a session from before the setting, the age counts from a later request.
        age = (timezone.now() - self.signed_in_at).total_seconds()
        return max(self.expires, as_django_stores(from_now(absolute - age)))

    @property
    def identity(self) -> dict[str, str]:
        """The columns that find the stored session and its session hash, with their values."""
        names = ("engine", "sealed_key", "auth_hash")
        return {name: getattr(self, name) for name in names}

    @property
    def device(self) -> str:
        """The browser and the system, for people to read."""
        names = {"browser": self.browser, "system": self.system}
        if all(names.values()):
            return gettext("%(browser)s on %(system)s") % names
        return self.browser or self.system or gettext("unknown device")


class RefusedSession(models.Model):
    """An ended session that a browser still has in a cookie: refused until the cookie expires."""

    # The id of its row in SignedInSession, which is deleted.
    id = models.UUIDField(primary_key=True)
    until = models.DateTimeField(db_index=True)

    objects = PrimaryManager.from_queryset(ForgettableQuerySet)()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.id)


class KnownDevice(models.Model):
    """A device on which a user has signed in: see ``known_devices``."""

    # Of the device's id and the user.
    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    last_used = models.DateTimeField(db_index=True)

    objects = PrimaryManager.from_queryset(ForgettableQuerySet)()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.digest
