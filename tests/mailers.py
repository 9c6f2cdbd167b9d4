"""How e-mails are sent, by the setting that the running Django has for it."""

import django
from pytest_django import Settings

IN_MEMORY = "django.core.mail.backends.locmem.EmailBackend"


def use_mailer(settings: Settings, backend: str = IN_MEMORY) -> None:
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend}}
    else:
        settings.EMAIL_BACKEND = backend
