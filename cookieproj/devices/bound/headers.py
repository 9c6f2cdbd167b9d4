"""The names and forms of the W3C draft "Device Bound Session Credentials".

https://www.w3.org/TR/dbsc-1/
"""

from typing import Any

from django.http import HttpRequest

# Of responses.
REGISTRATION = "Secure-Session-Registration"
CHALLENGE = "Secure-Session-Challenge"

# Of requests.
PROOF = "Secure-Session-Response"
SESSION_ID = "Sec-Secure-Session-Id"
# The browser could not renew the bound cookie, and sends the request without it.
SKIPPED = "Secure-Session-Skipped"
# The reason in that header: it has renewed too often within some minutes.
QUOTA_EXCEEDED = "quota_exceeded"

ALGORITHMS = ("ES256", "RS256")

# The type of a proof, in its own header.
PROOF_TYPE = "dbsc+jwt"


def registration(path: str, challenge: str) -> str:
    """Return the value of the header that offers a binding."""
    return f'({" ".join(ALGORITHMS)});path="{path}";challenge="{challenge}"'


def challenge(text: str, session_id: str) -> str:
    """Return the value of the header with a challenge for that session of the browser."""
    return f'"{text}";id="{session_id}"'


def text_in(request: HttpRequest, name: str) -> str:
    """Return the text in a request's header; empty if there is none.

    The draft has quotes around it, and Chromium sends none.
    """
    return request.headers.get(name, "").strip().strip('"')


def instructions(session_id: str, renewal_path: str, origin: str, cookie: Any) -> dict[str, Any]:
    """Return the JSON that tells the browser when to renew which cookie. ``cookie`` is a Morsel."""
    return {
        "session_identifier": session_id,
        "refresh_url": renewal_path,
        "scope": {"origin": origin, "include_site": False},
        "credentials": [
            {"type": "cookie", "name": cookie.key, "attributes": attributes_of(cookie)}
        ],
    }


def attributes_of(cookie: Any) -> str:
    """Return the attributes by which the browser recognizes the cookie: all but its expiry."""
    names = {"path": "Path", "samesite": "SameSite"}
    pairs = [f"{name}={cookie[key]}" for key, name in names.items() if cookie[key]]
    flags = {"secure": "Secure", "httponly": "HttpOnly"}
    return "; ".join([*pairs, *(flag for key, flag in flags.items() if cookie[key])])


def end(session_id: str) -> dict[str, Any]:
    """Return the JSON that ends the binding in the browser."""
    return {"session_identifier": session_id, "continue": False}
