"""What the other tests here need to be true of the process that they run in."""

import sys
import threading


def test_no_thread_is_traced() -> None:
    """With coverage a thread can fail to start while others do: CPython then says that another
    trace function is being installed. A balancer would never answer what that one was for."""
    assert (sys.gettrace(), threading.gettrace()) == (None, None)
