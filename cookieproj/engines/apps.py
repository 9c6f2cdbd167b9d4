from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class EnginesConfig(AppConfig):
    name = "cookieproj.engines"
    label = "cookieproj_engines"
    verbose_name = _("Sessions")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # These modules register themselves on import, which needs the settings.
        from . import (  # noqa: PLC0415
            checks,  # noqa: F401
            collation_checks,  # noqa: F401
            handover,  # noqa: F401
            handover_checks,  # noqa: F401
            timeout_checks,  # noqa: F401
        )
        from .compliance import checks as compliance_checks  # noqa: F401, PLC0415
