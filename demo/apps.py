from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DemoConfig(AppConfig):
    name = "demo"
    verbose_name = _("Users")

    def ready(self) -> None:
        # They register themselves, once settings and models are there.
        from . import checks  # noqa: F401, PLC0415
