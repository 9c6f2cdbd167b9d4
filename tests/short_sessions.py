"""As ``quick``, with sessions that end soon, and a password that is always asked for."""

from tests import quick

globals().update(vars(quick))

SESSION_IDLE_AGE = 8
DEVICES_ASK_PASSWORD_AFTER = 0
