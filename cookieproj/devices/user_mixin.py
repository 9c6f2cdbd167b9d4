"""A mixin for a site's own user model, with a counter that ends all sessions of a user at once."""

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

from .constants import SESSION_HASH_SALT


class Counter(models.PositiveIntegerField):  # type: ignore[type-arg]
    """A column that only ``update`` changes: the save of an instance, perhaps an old one, does not.

    An insert stores the instance's value.
    """

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        return super().pre_save(model_instance, add) if add else models.F(self.attname)


class SignOutEverywhereMixin(AbstractBaseUser):
    """Adds a counter to a user's session hash. Raising the counter ends all sessions of the user.

    It stands before the other bases of a user model: ``class User(SignOutEverywhereMixin,
    AbstractUser)``. It adds two columns, ``sign_outs`` and ``session_hashes``, so it belongs to the
    model that has the password column, not to a child of that model; the check ``devices.E005``
    reports this. Without the mixin, ``sign_out_everywhere`` ends the sessions in the registry one
    by one.

    Django compares the hash on every request anyway, so the counter costs no query on any engine.
    While the counter is zero, the hash is Django's own: adding the column signs nobody out.

    A sign-in after an upgrade of Django may hash the password again, with more iterations for
    example. Django's session hash changes with it, which signs out the user's other devices. With
    this mixin the session hash stays until the password changes.
    """

    sign_outs = Counter(_("times signed out everywhere"), default=0, editable=False)

    # The session hashes from before the password was hashed again, one for each secret key at that
    # time. Each is signed with its key and for the new password hash, so any change of the password
    # column ends the sessions. The old password hash is not kept, as it may be a weak one.
    session_hashes = models.TextField(default="", db_default="", blank=True, editable=False)

    class Meta:
        abstract = True

    def check_password(self, raw_password: str | None) -> bool:
        def rehash(raw_password: str) -> None:
            columns = self._rehashed_columns(raw_password)
            if self._row_if_unchanged.update(**columns):
                self._set_columns(columns)

        return check_password(raw_password, self.password, rehash)

    async def acheck_password(self, raw_password: str | None) -> bool:
        async def rehash(raw_password: str) -> None:
            columns = self._rehashed_columns(raw_password)
            if await self._row_if_unchanged.aupdate(**columns):
                self._set_columns(columns)

        return await acheck_password(raw_password, self.password, rehash)

    def _rehashed_columns(self, raw_password: str) -> dict[str, str]:
        password = make_password(raw_password)
        signed = [
            signer(secret, password).sign(self._get_session_auth_hash(secret))
            for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        ]
        return {"password": password, "session_hashes": " ".join(signed)}

    @property
    def _row_if_unchanged(self) -> models.QuerySet[Any]:
        """The user's row; empty if the password has changed, so that the new one is not lost."""
        # The model that has the column: with a child of it, Django would read before it writes.
        model: Any = self._meta.get_field("password").model
        rows = model._base_manager.using(router.db_for_write(model, instance=self))
        pk = getattr(self, model._meta.pk.attname)
        return rows.filter(pk=pk, password=self.password)  # type: ignore[no-any-return]

    def _set_columns(self, columns: dict[str, str]) -> None:
        self.password, self.session_hashes = columns["password"], columns["session_hashes"]

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Return the hash for that secret key, from ``session_hashes`` if one is valid.

        Django's two public methods call this, for SECRET_KEY and for its fallbacks.
        """
        unsign = signer(secret or settings.SECRET_KEY, self.password).unsign
        for signed in self.session_hashes.split():
            with suppress(BadSignature):
                return unsign(signed)
        auth_hash: str = super()._get_session_auth_hash(secret)  # type: ignore[misc]
        return auth_hash

    def get_session_auth_hash(self) -> str:
        return self._with_counter(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        return map(self._with_counter, super().get_session_auth_fallback_hash())

    def _with_counter(self, auth_hash: str) -> str:
        if not self.sign_outs:
            return auth_hash
        # The key is the hash, not SECRET_KEY, because a fallback's hash depends on that fallback.
        hmac = salted_hmac(
            SESSION_HASH_SALT, str(self.sign_outs), secret=auth_hash, algorithm="sha256"
        )
        return hmac.hexdigest()


def signer(secret: str, password_hash: str) -> Signer:
    """Return a signer whose signatures are valid only with that secret key and password hash."""
    return Signer(key=secret, fallback_keys=[], salt=f"{SESSION_HASH_SALT}:{password_hash}")
