"""Attacks on a cookie or a session, run live on Django's engines and on ours.

Each attack deletes the sessions that it stores. It creates users in a transaction that is
rolled back.
"""

# In the order of the page.
from . import forging, planting, replaying, handing_over, racing, filling  # noqa: F401, I001
from .registry import ATTEMPTS, Trial
from .targets import temporary_session

__all__ = ["ATTEMPTS", "Trial", "temporary_session"]
