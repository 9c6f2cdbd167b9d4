"""Copies of a cookie, sent while its owner is signed in and after a sign-out."""

from collections.abc import Iterator

from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.devices.signing_out import sign_out_everywhere
from demo.temporary_user import temporary_user

from .registry import Trial, attempt
from .targets import engines_to_try, replay, sign_out, signed_in_session, title


@attempt(
    gettext_lazy("Replay a cookie after signing out"),
    gettext_lazy(
        "Somebody has copied a session cookie. Its owner signs out, and then signs out everywhere."
    ),
    gettext_lazy("The attacker uses a session that its owner has ended."),
    gettext_lazy(
        "If the server stores the session, signing out deletes it. A signed cookie contains the "
        "whole session, so with Django's engine a copy stays valid until the user's session hash "
        "changes. Signing out everywhere changes the hash by raising a counter in it. This site "
        "also lists the sessions that were signed out, and its own cookie engines refuse them."
    ),
)
def replay_after_signing_out() -> Iterator[Trial]:
    for engine in engines_to_try():
        with temporary_user() as user, signed_in_session(engine.store, user) as session:
            copied_key = session.session_key
            sign_out(session, engine)
            after = _("%(engine)s, after signing out") % {"engine": title(engine)}
            yield replay(after, engine.store(copied_key), user)
            sign_out_everywhere(user)
            after = _("%(engine)s, after this site's sign-out everywhere") % {
                "engine": title(engine)
            }
            yield replay(after, engine.store(copied_key), user)


@attempt(
    gettext_lazy("Steal a cookie"),
    gettext_lazy(
        "Somebody has stolen a session cookie, and sends it from another device while its owner "
        "is signed in. The owner notices, and sets a new password."
    ),
    gettext_lazy("The attacker is signed in as the owner."),
    gettext_lazy(
        "Whoever sends a session cookie is signed in, from any address: no engine here can tell a "
        "thief from the owner. HttpOnly, Secure and SameSite make cookies harder to steal. A "
        "signed-in session contains a hash that depends on the user's password. Django compares it "
        "whenever a request asks for its user, so a new password ends the sessions of the old one "
        "on every engine, Django's and ours. This site's sign-out everywhere changes the same hash "
        "without a new password."
    ),
)
def steal_a_cookie() -> Iterator[Trial]:
    for engine in engines_to_try():
        with temporary_user() as user, signed_in_session(engine.store, user) as session:
            stolen_key = session.session_key
            names = {"engine": title(engine)}
            target = _("%(engine)s, from another device") % names
            yield replay(target, engine.store(stolen_key), user)
            user.set_password(get_random_string(20))
            user.save()
            target = _("%(engine)s, after its owner has set a new password") % names
            yield replay(target, engine.store(stolen_key), user)
