"""Whether a request may open the session of its cookie, for a middleware that asks for more.

The middleware sets the function on the request before SessionMiddleware sets the session. It is
called once, when the session has been read. If it refuses, the request gets a new session, and the
other one stays as it is. Its cookie stays too if the function removes it from ``request.COOKIES``:
otherwise a response that ends the new session deletes it.

If it has a true attribute ``awaits_proof``, it has admitted the request only for its view to verify
a proof. Until then the request ends no session as copied.
"""

from collections.abc import Callable

from .merge import Data

Admission = Callable[[Data], bool]

# On a request: the function.
ADMISSION_ATTRIBUTE = "session_admission"

# On a view: it takes proofs of a device's key, which no other site can send. It opens a session
# that other requests may not, and is exempt from the CSRF check.
TAKES_PROOFS = "takes_proofs_of_bound_sessions"
