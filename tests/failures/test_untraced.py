"""The tests of failures run without coverage."""

import sys
import threading


def test_no_thread_is_traced() -> None:
    """With coverage, a thread may fail to start while others do, since CPython reports that another
    trace function is being installed. A balancer would not answer that thread's request."""
    assert (sys.gettrace(), threading.gettrace()) == (None, None)
