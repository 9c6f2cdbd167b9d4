from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DemoConfig(AppConfig):
    name = "demo"
    verbose_name = _("Users and sessions")

    def ready(self) -> None:
        import demo.checks  # noqa: F401, PLC0415 - registers them, once settings are there
