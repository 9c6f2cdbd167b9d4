"""The profile signed_cookies: sessions in the browser's cookie."""

from .base import *

SESSION_ENGINE = session_engine("signed_cookies")
