from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DemoConfig(AppConfig):
    name = "demo"
    verbose_name = _("Users")

    def ready(self) -> None:
        # The checks register themselves. They import models, so they must be imported here.
        from . import checks  # noqa: F401, PLC0415
