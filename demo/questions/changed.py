"""Questions about a site whose SECRET_KEY or engine changes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from django.contrib.sessions.backends.base import SessionBase
from django.core import signing
from django.utils import timezone
from django.utils.functional import lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.constants import COOKIE_SALT, ENCRYPTED_COOKIES, SESSION_ID_SALT
from cookieproj.engines.encrypted_cookies import encrypted
from cookieproj.engines.engine_registry import EngineRef, current_engine, same_named_subclass
from cookieproj.engines.signed_ids import signs_ids
from demo.attacks.handing_over import handover_class_of, name_before_switch, switches
from demo.attacks.targets import running_name, temporary_session
from demo.engine_facts import COLOR, engines_with_same_rows
from demo.wording import joined

from .lab import NO, YES, YES_OR_NO, Lab, question

# A site that has this key has never been ours.
OTHER_KEY = "the key of last year, which this site no longer has"


class SignedWithOtherKey(SessionBase):
    """An engine that signs what it stores as a site with OTHER_KEY does."""

    def encode(self, session_dict: dict[str, object]) -> str:
        return signing.dumps(
            session_dict,
            key=OTHER_KEY,
            salt=self.key_salt,
            serializer=self.serializer,
            compress=True,
        )


def cookie_with_other_key(lab: Lab) -> str:
    """Return the cookie of a session that is signed or encrypted with OTHER_KEY where one is."""
    engine, session_class, data = current_engine(), lab.session_class, {"color": COLOR}
    if engine.name == ENCRYPTED_COOKIES:
        content = session_class().serializer().dumps(data)
        return encrypted(content, timezone.now(), OTHER_KEY)
    if engine.is_held_by_browser:
        return signing.dumps(data, key=OTHER_KEY, salt=COOKIE_SALT, compress=True)
    session = same_named_subclass(session_class, SignedWithOtherKey)()
    session.update(data)
    session.save()
    # A site needs a restart to have another key.
    lab.restart(session)
    key = str(session.session_key)
    return signing.Signer(key=OTHER_KEY, salt=SESSION_ID_SALT).sign(key) if signs_ids() else key


def why_the_old_key_is_needed() -> str:
    engine = current_engine()
    if engine.is_in_process_memory:
        return _(
            "The site needs a restart to have the new key. The session was in the memory of the "
            "process, and ends with it: SECRET_KEY_FALLBACKS would not keep it."
        )
    if engine.is_held_by_browser or signs_ids():
        return _(
            "What was signed or encrypted with the old key is not valid. Put the old key into "
            "SECRET_KEY_FALLBACKS, and the session stays."
        )
    return _(
        "The cookie is only a random key, but the session is stored with a signature, which was "
        "made with the old key and is not valid. Put the old key into SECRET_KEY_FALLBACKS, and "
        "the session stays."
    )


@question(
    gettext_lazy(
        "SECRET_KEY changes, and SECRET_KEY_FALLBACKS does not list the old one. Does the cookie "
        "still open the session?"
    ),
    YES_OR_NO,
    {
        YES: gettext_lazy(
            "What requests read of it is not signed on this engine. A sign-in ends all the same: "
            "it is tied to the password by a hash that is made with SECRET_KEY."
        ),
        NO: lazy(why_the_old_key_is_needed, str)(),
    },
)
def change_the_secret_key(lab: Lab) -> str:
    lab.say(_("A session is created as if this site had another SECRET_KEY."))
    lab.say(_("In it is color = “%(color)s”.") % {"color": COLOR})
    cookie = cookie_with_other_key(lab)
    lab.say(_("Now the site has its own SECRET_KEY again, and does not know the other."))
    return YES if lab.finds_color(cookie) else NO


@contextmanager
def switched(lab: Lab) -> Iterator[tuple[EngineRef, EngineRef, str]]:
    """Yield the engine before a switch, the running one, and the cookie of a session before it.

    What a handover stores under the session's key goes with the lab's own sessions.
    """
    with switches() as pairs:
        old, new = next((old, new) for old, new in pairs if new.path == current_engine().path)
        with temporary_session(old.store, color=COLOR) as session:
            lab.say(
                _("A session is created on the engine %(old)s, with color = “%(color)s”.")
                % {"old": old.label, "color": COLOR}
            )
            cookie = lab.cookie_of(session)
            lab.say(_("Now the site runs on %(new)s.") % {"new": new.label})
            lab.session_class.created_keys.add(session.session_key)
            yield old, new, cookie


def why_none_is_found() -> str:
    why = _(
        "The new engine looks in its own place only, so everybody is signed out. The session "
        "stays where the old engine has stored it."
    )
    running = current_engine()
    others = engines_with_same_rows(running)
    if not others:
        return why
    exception = _(
        "A change between %(engine)s and %(other)s is the exception: both use the same rows, and "
        "nobody is signed out."
    )
    return joined([why, exception % {"engine": running.name, "other": others[0].name}])


def change_of_the_engine() -> str:
    return _(
        "The site changes from %(old)s to %(new)s, and nothing else. Does the cookie from before "
        "open the session?"
    ) % {"old": name_before_switch(), "new": running_name()}


def change_with_handover() -> str:
    return _(
        "The site changes from %(old)s to %(new)s, and SESSION_HANDOVER_FROM names %(old)s. Does "
        "the cookie from before open the session?"
    ) % {"old": name_before_switch(), "new": running_name()}


@question(
    lazy(change_of_the_engine, str)(),
    YES_OR_NO,
    {
        YES: gettext_lazy("Both engines keep their sessions in the same place."),
        NO: lazy(why_none_is_found, str)(),
    },
)
def change_the_engine(lab: Lab) -> str:
    with switched(lab) as (_old, _new, cookie):
        return YES if lab.finds_color(cookie) else NO


def why_none_is_handed_over() -> str:
    if current_engine().is_djangos:
        return _("Django's engines cannot do this: choose the engine of that name in this project.")
    return _("The new engine did not find the session in the old one's place.")


@question(
    lazy(change_with_handover, str)(),
    YES_OR_NO,
    {
        YES: gettext_lazy(
            "The new engine looks in the old one's place too, and takes over what it finds there. "
            "Nobody is signed out."
        ),
        NO: lazy(why_none_is_handed_over, str)(),
    },
)
def hand_the_sessions_over(lab: Lab) -> str:
    with switched(lab) as (old, new, cookie):
        if not new.is_djangos:
            lab.say(_("It looks for sessions of the old engine too."))
            lab = replace(lab, session_class=handover_class_of(old, new, lab.session_class))
        return YES if lab.finds_color(cookie) else NO
