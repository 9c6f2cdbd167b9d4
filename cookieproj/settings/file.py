from .base import *

SESSION_ENGINE = "django.contrib.sessions.backends.file"
# Django's engine refuses a folder that is missing.
make_private(SESSION_FILE_PATH)
