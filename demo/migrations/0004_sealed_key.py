from django.db import migrations, models


class Migration(migrations.Migration):
    """Widen the column of session keys. The next migration encrypts the keys in it."""

    dependencies = [
        ("demo", "0003_session_hashes"),
    ]

    operations = [
        migrations.AlterField(
            model_name="signedinsession",
            name="session_key",
            field=models.CharField(
                blank=True, db_column="session_key", editable=False, max_length=200
            ),
        ),
        migrations.RenameField(
            model_name="signedinsession",
            old_name="session_key",
            new_name="sealed_key",
        ),
    ]
