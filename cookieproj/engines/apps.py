from django.apps import AppConfig


class EnginesConfig(AppConfig):
    name = "cookieproj.engines"
    label = "cookieproj_engines"

    def ready(self) -> None:
        # They register themselves, once settings are there.
        from . import checks, handover  # noqa: F401, PLC0415
