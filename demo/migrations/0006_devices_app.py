"""The registry of signed-in sessions moves to ``cookieproj.devices``: all stay signed in.

Its rows move to the tables of that app. What was granted or logged about its models,
and about stored sessions, goes on under the apps that have them now. Backwards as well.
"""

from typing import Any

from django.db import migrations

HERE, DEVICES, ENGINES = "demo", "cookieproj_devices", "cookieproj_engines"

# By their names in the old table, and in the new one.
SIGNED_IN = {
    name: name
    for name in (
        "id", "user_id", "engine", "auth_hash", "browser", "system", "address", "signed_in_at",
        "last_seen", "expires",
    )
} | {"session_key": "sealed_key"}  # fmt: skip
REFUSED = {"id": "id", "until": "until"}

MODELS = {
    "signedinsession": DEVICES,
    "refusedsession": DEVICES,
    "storedsession": ENGINES,
}


def move_rows(apps: Any, schema_editor: Any) -> None:
    for model, columns in (("SignedInSession", SIGNED_IN), ("RefusedSession", REFUSED)):
        move(apps, schema_editor, (HERE, DEVICES), model, columns)


def move_rows_back(apps: Any, schema_editor: Any) -> None:
    back = {new: old for old, new in SIGNED_IN.items()}
    for model, columns in (("SignedInSession", back), ("RefusedSession", REFUSED)):
        move(apps, schema_editor, (DEVICES, HERE), model, columns)


def move(
    apps: Any, schema_editor: Any, labels: tuple[str, str], model: str, columns: dict[str, str]
) -> None:
    """By statements in the database itself: there may be a million rows.

    A site that goes on while it is migrated may have written some of them into the new table
    already. Those are the later ones.
    """
    quote = schema_editor.quote_name
    source, target = (quote(apps.get_model(label, model)._meta.db_table) for label in labels)
    read, written = (", ".join(map(quote, names)) for names in (columns, columns.values()))
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {target} ({written}) SELECT {read} FROM {source} "  # noqa: S608
            f"WHERE NOT EXISTS (SELECT 1 FROM {target} WHERE {target}.id = {source}.id)"
        )
        cursor.execute(f"DELETE FROM {source}")  # noqa: S608


def move_content_types(apps: Any, schema_editor: Any) -> None:
    for model, label in MODELS.items():
        rename(apps, schema_editor, model, HERE, label)


def move_content_types_back(apps: Any, schema_editor: Any) -> None:
    for model, label in MODELS.items():
        rename(apps, schema_editor, model, label, HERE)


def rename(apps: Any, schema_editor: Any, model: str, old: str, new: str) -> None:
    """Permissions and the admin's log refer to content types, and so follow them."""
    alias = schema_editor.connection.alias
    found = apps.get_model("contenttypes", "ContentType").objects.using(alias).filter(model=model)
    if found.filter(app_label=old).exists():
        # One that ``migrate`` has made since for the new app: nobody was granted anything by it.
        found.filter(app_label=new).delete()
        found.filter(app_label=old).update(app_label=new)


class Migration(migrations.Migration):
    dependencies = [
        ("contenttypes", "0002_remove_content_type_name"),
        ("cookieproj_devices", "0001_initial"),
        ("cookieproj_engines", "0001_initial"),
        ("demo", "0005_seal_keys"),
    ]

    operations = [
        migrations.RunPython(move_rows, move_rows_back),
        migrations.RunPython(move_content_types, move_content_types_back),
        migrations.DeleteModel(name="SignedInSession"),
        migrations.DeleteModel(name="RefusedSession"),
        migrations.DeleteModel(name="StoredSession"),
    ]
