"""Move the registry of signed-in sessions to ``cookieproj.devices``. Everybody stays signed in.

Its rows move to the tables of that app. Permissions and log entries about its models, and about
stored sessions, move to the apps that have these models now. The migration can be reversed.
"""

from typing import Any

from django.db import migrations

HERE, DEVICES, ENGINES = "demo", "cookieproj_devices", "cookieproj_engines"

# The names of columns in the old table and in the new one.
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
        move_table(apps, schema_editor, (HERE, DEVICES), model, columns)


def move_rows_back(apps: Any, schema_editor: Any) -> None:
    back = {new: old for old, new in SIGNED_IN.items()}
    for model, columns in (("SignedInSession", back), ("RefusedSession", REFUSED)):
        move_table(apps, schema_editor, (DEVICES, HERE), model, columns)


def move_table(
    apps: Any, schema_editor: Any, labels: tuple[str, str], model: str, columns: dict[str, str]
) -> None:
    """Move all rows with two statements, because there may be a million."""
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
        rename_content_type(apps, schema_editor, model, HERE, label)


def move_content_types_back(apps: Any, schema_editor: Any) -> None:
    for model, label in MODELS.items():
        rename_content_type(apps, schema_editor, model, label, HERE)


def rename_content_type(apps: Any, schema_editor: Any, model: str, old: str, new: str) -> None:
    """Move a model's content type to another app. Permissions and the admin's log refer to it."""
    alias = schema_editor.connection.alias
    content_types = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    of_model = content_types.filter(model=model)
    if of_model.filter(app_label=old).exists():
        # ``migrate`` may have created one for the new app. Nobody has its permissions yet.
        of_model.filter(app_label=new).delete()
        of_model.filter(app_label=old).update(app_label=new)


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
