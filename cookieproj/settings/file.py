from .base import *

SESSION_ENGINE = "django.contrib.sessions.backends.file"
# Django's engine refuses a folder that is missing; nobody else may look into this one.
SESSION_FILE_PATH.mkdir(mode=0o700, parents=True, exist_ok=True)
