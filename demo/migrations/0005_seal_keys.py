"""No session key, nor session hash, stays in clear in the index of signed-in sessions.

All who are signed in stay so and are listed as before. Backwards as well, but for rows whose
keys no secret key opens any more, and whose hashes hold no more: their sessions have ended.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

from django.db import migrations

from cookieproj.engines import encryption
from demo.models import User

BATCH = 500

SEALED_FOR = "demo.SignedInSession"


def seal(apps: Any, schema_editor: Any) -> None:
    change(apps, schema_editor, sealed)


def unseal(apps: Any, schema_editor: Any) -> None:
    change(apps, schema_editor, unsealed)


def change(apps: Any, schema_editor: Any, changed: Callable[[Any], None]) -> None:
    rows = apps.get_model("demo", "SignedInSession").objects.using(schema_editor.connection.alias)
    last = None
    while batch := list(after(rows, last)):
        for row in batch:
            # Only what was read is replaced: a request may have gone further.
            read = rows.filter(pk=row.pk, sealed_key=row.sealed_key, auth_hash=row.auth_hash)
            changed(row)
            read.update(sealed_key=row.sealed_key, auth_hash=row.auth_hash)
        last = batch[-1].pk


def after(rows: Any, last: Any) -> Any:
    """The next of them, whatever each becomes meanwhile."""
    rest = rows.filter(pk__gt=last) if last else rows
    return rest.select_related("user").order_by("pk")[:BATCH]


def sealed(row: Any) -> None:
    if row.sealed_key:
        row.sealed_key = encryption.encrypt(row.sealed_key, SEALED_FOR)
    row.auth_hash = digest(row.auth_hash)


def unsealed(row: Any) -> None:
    if row.sealed_key:
        row.sealed_key = opened(row.sealed_key)
    hashes = {digest(auth_hash): auth_hash for auth_hash in hashes_of(row.user)}
    row.auth_hash = hashes.get(row.auth_hash, "")


def opened(key: str) -> str:
    try:
        return encryption.decrypt(key, SEALED_FOR)
    except encryption.DecryptionError:
        # As a key it opens nothing, and is short enough for the column of before.
        return key[:40]


def digest(auth_hash: str) -> str:
    return sha256(auth_hash.encode()).hexdigest()


def hashes_of(row: Any) -> Iterator[str]:
    names = ("password", "session_hashes", "sign_outs")
    user = User(**{name: getattr(row, name) for name in names})
    yield user.get_session_auth_hash()
    yield from user.get_session_auth_fallback_hash()


class Migration(migrations.Migration):
    dependencies = [
        ("demo", "0004_sealed_key"),
    ]

    operations = [
        migrations.RunPython(seal, unseal),
    ]
