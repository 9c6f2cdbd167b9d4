"""Let MariaDB and MySQL tell session keys apart by case, which their default collations ignore.

The table is Django's. A site with a foreign key to it needs the same collation there, so this is
a migration of this site, and not of an app for any site.
"""

from typing import Any

from django.db import migrations

MODIFY = "ALTER TABLE django_session MODIFY session_key varchar(40) COLLATE utf8mb4_bin NOT NULL"


def tell_apart_by_case(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "mysql":
        schema_editor.execute(MODIFY)


class Migration(migrations.Migration):
    # These databases cannot change a table inside a transaction.
    atomic = False

    dependencies = [
        ("demo", "0006_devices_app"),
        ("sessions", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(tell_apart_by_case, migrations.RunPython.noop),
    ]
