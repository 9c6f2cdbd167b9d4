"""The configuration of the app. ``ready`` registers its checks and receivers."""

from django.apps import AppConfig, apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _


class DevicesConfig(AppConfig):
    name = "cookieproj.devices"
    # Not "devices", which may be the label of an app of the site's own.
    label = "cookieproj_devices"
    verbose_name = _("Signed-in sessions")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        if not apps.is_installed("cookieproj.engines"):
            raise ImproperlyConfigured(
                "cookieproj.devices needs cookieproj.engines in INSTALLED_APPS as well, after it."
            )
        # Importing them registers them, which needs the settings and the models.
        from . import checks, event_log, receivers, setting_checks  # noqa: F401, PLC0415
        from .bound import checks as bound_checks  # noqa: F401, PLC0415
