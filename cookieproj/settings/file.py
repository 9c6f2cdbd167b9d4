"""The profile file: sessions in files."""

from .base import *

SESSION_ENGINE = session_engine("file")
# Django's engine refuses a folder that is missing.
make_private(SESSION_FILE_PATH)
