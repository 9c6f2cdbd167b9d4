"""Encrypt the session keys and digest the session hashes in the registry of signed-in sessions.

Everybody stays signed in and listed. The migration can be reversed, except for rows whose key no
SECRET_KEY decrypts any more, or whose hash is out of date: their sessions have ended.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from django.db import migrations

from cookieproj.engines import encryption
from demo.models import User

BATCH = 500

SEALED_FOR = "demo.SignedInSession"


def seal_rows(apps: Any, schema_editor: Any) -> None:
    change_rows(apps, schema_editor, seal)


def unseal_rows(apps: Any, schema_editor: Any) -> None:
    change_rows(apps, schema_editor, unseal)


def change_rows(apps: Any, schema_editor: Any, change: Callable[[Any], None]) -> None:
    rows = apps.get_model("demo", "SignedInSession").objects.using(schema_editor.connection.alias)
    last_pk = None
    while batch := list(next_batch(rows, last_pk)):
        for row in batch:
            # A request may have changed the row since it was read: then it stays as it is.
            unchanged = rows.filter(pk=row.pk, sealed_key=row.sealed_key, auth_hash=row.auth_hash)
            change(row)
            unchanged.update(sealed_key=row.sealed_key, auth_hash=row.auth_hash)
        last_pk = batch[-1].pk


def next_batch(rows: Any, last_pk: Any) -> Any:
    """Return the rows after ``last_pk``, in the order of primary keys, which no change affects."""
    remaining = rows.filter(pk__gt=last_pk) if last_pk else rows
    return remaining.select_related("user").order_by("pk")[:BATCH]


def seal(row: Any) -> None:
    if row.sealed_key:
        row.sealed_key = encryption.encrypt(row.sealed_key, SEALED_FOR)
    row.auth_hash = digest(row.auth_hash)


def unseal(row: Any) -> None:
    if row.sealed_key:
        row.sealed_key = decrypt_key(row.sealed_key)
    hashes = {digest(auth_hash): auth_hash for auth_hash in hashes_of(row.user)}
    row.auth_hash = hashes.get(row.auth_hash, "")


def decrypt_key(sealed_key: str) -> str:
    try:
        return encryption.decrypt(sealed_key, SEALED_FOR)
    except encryption.DecryptionError:
        # The ciphertext is no key of any session. Cut, it fits the previous column.
        return sealed_key[:40]


def digest(auth_hash: str) -> str:
    return sha256(auth_hash.encode()).hexdigest()


def hashes_of(historical_user: Any) -> Iterator[str]:
    """Yield the user's session hashes. A historical model lacks the methods of ``User``."""
    names = ("password", "session_hashes", "sign_outs")
    user = User(**{name: getattr(historical_user, name) for name in names})
    yield user.get_session_auth_hash()
    yield from user.get_session_auth_fallback_hash()


class Migration(migrations.Migration):
    dependencies = [
        ("demo", "0004_sealed_key"),
    ]

    operations = [
        migrations.RunPython(seal_rows, unseal_rows),
    ]
