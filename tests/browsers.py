"""Test clients that act as browsers, each with its own session."""

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.signed_cookies import SessionStore as DjangoStore
from django.test import Client

from cookieproj.devices import row_identity
from cookieproj.devices.models import SignedInSession
from demo.models import User

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)


def browser(user: User | None = None, agent: str = FIREFOX, address: str = "192.0.2.1") -> Client:
    """Create a browser. If a user is given, sign in by the form."""
    client = Client(headers={"user-agent": agent}, REMOTE_ADDR=address)
    if user:
        form = {"username": user.username, "password": "cookies"}
        assert client.post("/auth/sign-in/", form).status_code == 302
    return client


def again(client: Client) -> Client:
    """The same browser after a restart of the site. A client keeps its first middleware."""
    restarted = Client()
    restarted.defaults |= client.defaults
    restarted.cookies = client.cookies
    return restarted


def is_in(client: Client) -> bool:
    return client.get("/auth/account/").status_code == 200


def key_of(client: Client) -> str:
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def row_of(client: Client) -> SignedInSession:
    return SignedInSession.objects.get(pk=row_identity.registered_id(client.session) or "")


def signed_by_django(user: User) -> str:
    """A cookie of Django's engine that contains only the sign-in."""
    session = DjangoStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)
