"""Questions about the running engine, each answered by doing it with a session of its own.

The sessions are created for it, in a namespace of their own, and deleted in the end. Users are
created in a transaction that is rolled back.
"""

# In the order of the page.
from . import copied, lost, changed  # noqa: F401, I001
from .lab import QUESTIONS, Question, answered

__all__ = ["QUESTIONS", "Question", "answered"]
