import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.contrib.auth.hashers import acheck_password, check_password, make_password
from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, Signer
from django.db import models, router
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cookieproj.engines.stored import Listed

from . import sealing
from .constants import INDEX_SEAL, USER

# Characters of a session key that people may see.
SHOWN = 8


class Counter(models.PositiveIntegerField):  # type: ignore[type-arg]
    """Raised by ``update`` alone: saving an instance, which may be old, leaves it as it is."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        return super().pre_save(model_instance, add) if add else models.F(self.attname)


Row = TypeVar("Row", bound=models.Model)


class ReadsWhatIsWritten(models.Manager[Row]):
    """Rows are read where they are written, though a router may have others read from a replica.

    A replica lags. There the user who has just been signed out everywhere is as before, and
    lets the other devices in; and the one that goes on, by the counter of now, is refused.
    """

    def get_queryset(self) -> models.QuerySet[Row]:
        return super().get_queryset().using(self._db or router.db_for_write(self.model))


class Users(ReadsWhatIsWritten["User"], UserManager["User"]):
    use_in_migrations = False


class User(AbstractUser):
    """Django's, and a counter in its session hash: to raise it ends all sessions of the user.

    Django compares that hash on every request anyway, so on every engine this costs
    no query. At zero the hash is Django's own: nobody is signed out by the column.

    A sign-in after an upgrade hashes the password anew, by more iterations say. Django's
    hash becomes another one by that, and the user's other devices are signed out. Here
    it stays until the password is another.
    """

    objects: ClassVar[Users] = Users()

    sign_outs = Counter(_("times signed out everywhere"), default=0, editable=False)

    # Session hashes from before the password was hashed anew, one for each secret key of then.
    # Each is signed with its key and for that very password hash: whoever writes another one,
    # by whatever way, ends the sessions. Not that hash of before: it may be a weak one.
    session_hashes = models.TextField(default="", db_default="", blank=True, editable=False)

    def check_password(self, raw_password: str | None) -> bool:
        def rehash(raw_password: str) -> None:
            hashed = self._hashed_anew(raw_password)
            self._has_become(hashed, self._unchanged_row.update(**hashed))

        return check_password(raw_password, self.password, rehash)

    async def acheck_password(self, raw_password: str | None) -> bool:
        async def rehash(raw_password: str) -> None:
            hashed = self._hashed_anew(raw_password)
            self._has_become(hashed, await self._unchanged_row.aupdate(**hashed))

        return await acheck_password(raw_password, self.password, rehash)

    def _hashed_anew(self, raw_password: str) -> dict[str, str]:
        password = make_password(raw_password)
        signed = [
            signer(secret, password).sign(self._get_session_auth_hash(secret))
            for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        ]
        return {"password": password, "session_hashes": " ".join(signed)}

    @property
    def _unchanged_row(self) -> "models.QuerySet[User]":
        """None if somebody has changed the password since: the new one must not be lost."""
        using = router.db_for_write(User, instance=self)
        return User._base_manager.using(using).filter(pk=self.pk, password=self.password)

    def _has_become(self, hashed: dict[str, str], rows: int) -> None:
        if rows:
            self.password, self.session_hashes = hashed["password"], hashed["session_hashes"]

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Django's two public methods call this, for the secret key and for its fallbacks."""
        unsign = signer(secret or settings.SECRET_KEY, self.password).unsign
        for signed in self.session_hashes.split():
            with suppress(BadSignature):
                return unsign(signed)
        auth_hash: str = super()._get_session_auth_hash(secret)  # type: ignore[misc]
        return auth_hash

    def get_session_auth_hash(self) -> str:
        return self._counted(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        return map(self._counted, super().get_session_auth_fallback_hash())

    def _counted(self, auth_hash: str) -> str:
        if not self.sign_outs:
            return auth_hash
        # Keyed by the hash, which is keyed by the secret it was made with: old ones stay theirs.
        counter = str(self.sign_outs)
        return salted_hmac(USER, counter, secret=auth_hash, algorithm="sha256").hexdigest()


def signer(secret: str, password_hash: str) -> Signer:
    """One that takes no other secret key, and holds for that password hash alone."""
    return Signer(key=secret, fallback_keys=[], salt=f"{USER}:{password_hash}")


class Forgettable(models.QuerySet[Row]):
    def forget(self) -> int:
        """Remove rows whose sessions have ended already; ``delete`` ends them first."""
        return self._raw_delete(router.db_for_write(self.model))


class SignedInSessions(Forgettable["SignedInSession"]):
    def live(self) -> "SignedInSessions":
        return self.filter(expires__gt=timezone.now(), user__is_active=True)

    def with_keys(self, session_keys: Iterable[str]) -> "SignedInSessions":
        """Those with one of these keys, whichever secret key it was sealed with."""
        sealed = [each for key in session_keys for each in sealing.seals(key, INDEX_SEAL)]
        return self.filter(sealed_key__in=sealed)


class SignedInSession(models.Model):
    """Where somebody is signed in: the same on every engine, see ``demo.index``.

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
        User, models.CASCADE, related_name="signed_in_sessions", verbose_name=_("user")
    )
    engine = models.CharField(_("engine"), max_length=100)
    # Empty where the browser holds the session: there the key is all of its data.
    # The column keeps its name, so that an older process goes on till it is replaced.
    sealed_key = models.CharField(
        max_length=200, blank=True, editable=False, db_column="session_key"
    )
    # A digest of the session hash that the session holds: with another password, it has ended.
    auth_hash = models.CharField(max_length=128, editable=False)
    browser = models.CharField(_("browser"), max_length=100, blank=True)
    system = models.CharField(_("system"), max_length=100, blank=True)
    address = models.GenericIPAddressField(_("address"), null=True)
    signed_in_at = models.DateTimeField(_("signed in"), default=timezone.now)
    # Written again and again, so in no index: PostgreSQL then leaves them all as they are.
    last_seen = models.DateTimeField(_("last seen"), default=timezone.now)
    expires = models.DateTimeField(_("expires"))

    objects = ReadsWhatIsWritten.from_queryset(SignedInSessions)()

    class Meta:
        verbose_name = _("signed-in session")
        verbose_name_plural = _("signed-in sessions")
        # Seen and ended; nobody makes one or changes one by hand.
        default_permissions = ("view", "delete")
        indexes = [
            models.Index(fields=["signed_in_at", "id"], name="signed_in_at"),
            models.Index(fields=["expires"], name="signed_in_expires"),
            models.Index(fields=["engine"], name="signed_in_engine"),
            models.Index(fields=["system"], name="signed_in_system"),
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
        except sealing.NotSealedHereError:
            return ""

    @session_key.setter
    def session_key(self, session_key: str) -> None:
        self.sealed_key = sealing.seal(session_key, INDEX_SEAL) if session_key else ""

    def opened_key(self) -> str:
        """In clear, of a row that has one. Raises NotSealedHereError."""
        return sealing.unseal(self.sealed_key, INDEX_SEAL)

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

    objects = ReadsWhatIsWritten.from_queryset(Forgettable)()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.id)


class StoredSession(models.Model):
    """A session in the running engine's store, as the admin shows it: no table of its own."""

    # What stands for its key in addresses, see ``demo.inspector``.
    name = models.CharField(primary_key=True, max_length=200)

    class Meta:
        managed = False
        default_permissions = ("view", "delete")
        verbose_name = _("stored session")
        verbose_name_plural = _("stored sessions")

    listed: Listed
    user: User | None = None

    def __str__(self) -> str:
        return f"{self.key}, {self.user}" if self.user else self.key

    @property
    def key(self) -> str:
        """As much of it as people may see."""
        return partial(self.listed.key)

    @property
    def is_anonymous(self) -> bool:
        """Not where its user is only not found: that may be anybody, a superuser too."""
        return self.listed.user_id is None


def primary_key(model: type[models.Model], value: Any) -> Any:
    """The value as a primary key of that model, of whatever type; None where it cannot be one."""
    try:
        return model._meta.pk.clean(value, None)
    except (ValidationError, OverflowError):
        return None


def partial(session_key: str) -> str:
    """The beginning of a session key: enough to tell two apart, too little to use.

    Of a key's 165 bits (32 characters out of 36) 124 stay hidden.
    """
    return f"{session_key[:SHOWN]}…"
