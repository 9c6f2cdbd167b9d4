"""Questions about the running engine, each answered by doing it with a session of its own.

The sessions are created for it, in a namespace of their own, and deleted in the end. Users are
created in a transaction that is rolled back.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user, login, logout
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.utils.functional import Promise, lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.benchmark.namespace import namespaced
from cookieproj.engines.caches import adapter_for
from cookieproj.engines.constants import CACHE, CACHED_DB
from cookieproj.engines.engine_registry import current_engine
from cookieproj.engines.signed_ids import is_whole_session, open_session, sign, signs_ids

from .decoding import decoding_steps
from .engine_facts import COLOR
from .temporary_user import temporary_user
from .view_source import source_of

YES, NO = "yes", "no"
YES_OR_NO = {YES: gettext_lazy("Yes, it does"), NO: gettext_lazy("No, it does not")}

EVERYTHING, LENGTH, NOTHING = "everything", "length", "nothing"
CHANGED, EMPTY, SAME = "changed", "empty", "same"


class Lab:
    """The running engine in a namespace of its own, and the steps that were done on it."""

    def __init__(self, session_class: Any) -> None:
        self.session_class = session_class
        self.steps: list[str] = []

    def say(self, step: str) -> None:
        self.steps.append(step)

    def new_session(self) -> Any:
        session = self.session_class()
        session["color"] = COLOR
        session.save()
        self.say(_("A session is created for this, with color = “%(color)s”.") % {"color": COLOR})
        return session

    def cookie_of(self, session: Any) -> str:
        """Return the value of the session's cookie, as the middleware would set it."""
        key = str(session.session_key)
        is_signed = signs_ids() and not is_whole_session(self.session_class, key)
        cookie = sign(key) if is_signed else key
        self.say(_("Its cookie has %(length)d characters.") % {"length": len(cookie)})
        return cookie

    def open(self, cookie: str) -> SessionBase:
        """Return the session as a browser with that cookie gets it."""
        return open_session(self.session_class, cookie)

    def finds_color(self, cookie: str) -> bool:
        color = self.open(cookie).get("color")
        found = (
            _("A request with that cookie finds color = “%(color)s”.") % {"color": color}
            if color
            else _("A request with that cookie finds an empty session.")
        )
        self.say(found)
        return bool(color == COLOR)


@dataclass(frozen=True)
class Question:
    """A question with its choices by name; ``run`` does it and returns the name of the answer."""

    run: Callable[[Lab], str]
    title: Promise
    choices: Mapping[str, Promise]
    why: Mapping[str, Promise | str]

    @property
    def name(self) -> str:
        return self.run.__name__.replace("_", "-")

    @property
    def source(self) -> str:
        return source_of(self.run)


@dataclass(frozen=True)
class Result:
    """What a question's doing has shown: its steps, and the answer by its name."""

    steps: list[str]
    answer: str


QUESTIONS: dict[str, Question] = {}


def question(
    title: Promise, choices: Mapping[str, Promise], why: Mapping[str, Promise | str]
) -> Callable[[Callable[[Lab], str]], Callable[[Lab], str]]:
    """Register a function as a question. ``why`` explains each possible answer in a sentence."""

    def register(run: Callable[[Lab], str]) -> Callable[[Lab], str]:
        registered = Question(run, title, choices, why)
        QUESTIONS[registered.name] = registered
        return run

    return register


def answered(name: str) -> Result:
    """Do what the question asks. Raises SessionStoreError if the store fails."""
    with namespaced(current_engine().session_class) as session_class:
        lab = Lab(session_class)
        return Result(answer=QUESTIONS[name].run(lab), steps=lab.steps)


@question(
    gettext_lazy("Somebody copies the text of your cookie. What of your session can they read?"),
    {
        EVERYTHING: gettext_lazy("All of it"),
        LENGTH: gettext_lazy("Only how long it is"),
        NOTHING: gettext_lazy("Nothing of it"),
    },
    {
        EVERYTHING: gettext_lazy(
            "The session is in the cookie, signed but not encrypted. Decoding it needs no secret."
        ),
        LENGTH: gettext_lazy(
            "The session is in the cookie, encrypted with a key that only this site has."
        ),
        NOTHING: gettext_lazy(
            "The cookie has only a random key. The session itself is on the server."
        ),
    },
)
def read_the_copied_cookie(lab: Lab) -> str:
    cookie = lab.cookie_of(lab.new_session())
    steps = list(decoding_steps(cookie.encode()))
    for step in steps:
        if step.needs_secret:
            lab.say(_("%(step)s: this needs SECRET_KEY.") % {"step": step.title})
        elif step.is_valid:
            lab.say(_("%(step)s: this needs no secret.") % {"step": step.title})
    is_readable = any(COLOR in step.outcome for step in steps if not step.needs_secret)
    is_session = any(COLOR in step.outcome for step in steps)
    lab.say(
        _("“%(color)s” can be read.") % {"color": COLOR}
        if is_readable
        else _("“%(color)s” cannot be read.") % {"color": COLOR}
    )
    if is_readable:
        return EVERYTHING
    return LENGTH if is_session else NOTHING


@question(
    gettext_lazy("Somebody puts your cookie into another browser. Does it get your session?"),
    YES_OR_NO,
    {
        YES: gettext_lazy(
            "The cookie is all that the site knows of a browser: who has it is you. That is why "
            "it must not be copied."
        ),
        NO: gettext_lazy("This engine tells browsers apart by more than the cookie."),
    },
)
def use_the_copied_cookie(lab: Lab) -> str:
    cookie = lab.cookie_of(lab.new_session())
    lab.say(_("Another browser sends the same text."))
    return YES if lab.finds_color(cookie) else NO


@question(
    gettext_lazy("You change one character of the cookie. What does the site find?"),
    {
        CHANGED: gettext_lazy("The session, with something changed in it"),
        EMPTY: gettext_lazy("An empty session"),
        SAME: gettext_lazy("The session as it was"),
    },
    {
        CHANGED: gettext_lazy("The site does not check the cookie."),
        EMPTY: gettext_lazy(
            "The changed text is no cookie that this site has set, so the site ignores it. With "
            "the right text the session is there again."
        ),
        SAME: gettext_lazy("The character does not matter to the site."),
    },
)
def change_one_character(lab: Lab) -> str:
    cookie = lab.cookie_of(lab.new_session())
    middle = len(cookie) // 2
    character = "b" if cookie[middle] == "a" else "a"
    changed = cookie[:middle] + character + cookie[middle + 1 :]
    lab.say(
        _("Its character number %(number)d is changed from %(old)s to %(new)s.")
        % {"number": middle + 1, "old": cookie[middle], "new": character}
    )
    if lab.finds_color(changed):
        return SAME
    return CHANGED if lab.open(changed).get("color") else EMPTY


@question(
    gettext_lazy("The site deletes the session in its store. Does the cookie still open it?"),
    YES_OR_NO,
    {
        YES: gettext_lazy(
            "The cookie is the session, so the site has nothing to delete. It can only keep a "
            "list of the sessions that it refuses."
        ),
        NO: gettext_lazy("Without the stored session, the key in the cookie opens nothing."),
    },
)
def delete_the_stored_session(lab: Lab) -> str:
    session = lab.new_session()
    cookie = lab.cookie_of(session)
    lab.session_class(session.session_key).delete()
    lab.say(_("session.delete() has been called for it."))
    return YES if lab.finds_color(cookie) else NO


def why_the_cache_is_not_all() -> str:
    if current_engine().name in {CACHE, CACHED_DB}:
        return _("The cache is not the only place that has the session.")
    return _("This engine uses no cache.")


def why_a_copy_is_signed_out() -> str:
    if current_engine().is_held_by_browser:
        return _("The site has put the session on the list of those that it refuses.")
    return _("The site has deleted the session from its store.")


@question(
    gettext_lazy("The cache loses the session, as when it is cleared. Does the cookie open it?"),
    YES_OR_NO,
    {
        YES: lazy(why_the_cache_is_not_all, str)(),
        NO: gettext_lazy("The cache was the only place that had the session."),
    },
)
def clear_the_cache(lab: Lab) -> str:
    session = lab.new_session()
    cookie = lab.cookie_of(session)
    if hasattr(session, "_cache"):
        adapter_for(session._cache).delete(session.cache_key_prefix + session.session_key)
        lab.say(_("Its entry in the cache is deleted; others stay."))
    else:
        lab.say(_("This engine uses no cache, so there is nothing to clear."))
    return YES if lab.finds_color(cookie) else NO


@question(
    gettext_lazy("You sign out here. Does a copy of the cookie stay signed in?"),
    YES_OR_NO,
    {
        YES: gettext_lazy(
            "Signing out deletes the cookie in your browser alone. A copy of it stays valid until "
            "it expires, or until you sign out everywhere."
        ),
        NO: lazy(why_a_copy_is_signed_out, str)(),
    },
)
def sign_out_and_use_a_copy(lab: Lab) -> str:
    with temporary_user() as user:
        request = HttpRequest()
        request.META["REMOTE_ADDR"] = "192.0.2.1"
        request.session = lab.new_session()
        request.session.save()
        login(request, user, "django.contrib.auth.backends.ModelBackend")
        request.session.save()
        lab.say(_("A user who is created for this signs in with it."))
        copied = lab.cookie_of(request.session)
        logout(request)
        lab.say(_("The user signs out. Another browser sends a copy of the cookie."))
        other = HttpRequest()
        other.session = lab.open(copied)
        is_signed_in = get_user(other) == user
        lab.say(
            _("The site takes it for the user.")
            if is_signed_in
            else _("The site takes it for a stranger.")
        )
    return YES if is_signed_in else NO
