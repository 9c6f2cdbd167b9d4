"""For a site's own user model: what ends all sessions of a user at once."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import acheck_password, check_password, make_password
from django.core.signing import BadSignature, Signer
from django.db import models, router
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from .constants import USER


class Counter(models.PositiveIntegerField):  # type: ignore[type-arg]
    """Raised by ``update`` alone: saving an instance, which may be old, leaves it as it is."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        return super().pre_save(model_instance, add) if add else models.F(self.attname)


class SignOutEverywhereMixin(AbstractBaseUser):
    """A counter in the session hash of a user: to raise it ends all sessions of the user.

    Stands before the other bases of a user model: ``class User(SignOutEverywhereMixin,
    AbstractUser)``. It brings two columns, ``sign_outs`` and ``session_hashes``, and so stands at
    the model that has that of the password, not at a child of it: ``devices.E005``. Without it
    ``sign_out_everywhere`` ends the sessions that the registry knows, one by one.

    Django compares that hash on every request anyway, so on every engine this costs
    no query. At zero the hash is Django's own: nobody is signed out by the column.

    A sign-in after an upgrade hashes the password anew, by more iterations say. Django's
    hash becomes another one by that, and the user's other devices are signed out. Here
    it stays until the password is another.
    """

    sign_outs = Counter(_("times signed out everywhere"), default=0, editable=False)

    # Session hashes from before the password was hashed anew, one for each secret key of then.
    # Each is signed with its key and for that very password hash: whoever writes another one,
    # by whatever way, ends the sessions. Not that hash of before: it may be a weak one.
    session_hashes = models.TextField(default="", db_default="", blank=True, editable=False)

    class Meta:
        abstract = True

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
    def _unchanged_row(self) -> models.QuerySet[Any]:
        """None if somebody has changed the password since: the new one must not be lost."""
        # By its own table: of a child of this model Django would look first, and then write.
        model: Any = self._meta.get_field("password").model
        rows = model._base_manager.using(router.db_for_write(model, instance=self))
        pk = getattr(self, model._meta.pk.attname)
        return rows.filter(pk=pk, password=self.password)  # type: ignore[no-any-return]

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
