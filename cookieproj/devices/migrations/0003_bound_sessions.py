from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cookieproj_devices", "0002_known_devices"),
    ]

    operations = [
        migrations.AddField(
            model_name="signedinsession",
            name="bound_at",
            field=models.DateTimeField(null=True, verbose_name="bound"),
        ),
        migrations.AddField(
            model_name="signedinsession",
            name="bound_by",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                max_length=10,
                verbose_name="key of the device",
            ),
        ),
    ]
