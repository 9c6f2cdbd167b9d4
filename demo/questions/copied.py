"""Questions about a cookie that somebody else has copied or changed."""

from django.contrib.auth import get_user, login, logout
from django.http import HttpRequest
from django.utils.functional import lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.engine_registry import current_engine
from demo.decoding import decoding_steps
from demo.engine_facts import COLOR
from demo.temporary_user import temporary_user

from .lab import NO, YES, YES_OR_NO, Lab, question

EVERYTHING, LENGTH, NOTHING = "everything", "length", "nothing"
CHANGED, EMPTY, SAME = "changed", "empty", "same"


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


def why_a_copy_is_signed_out() -> str:
    if current_engine().is_held_by_browser:
        return _(
            "The site has put the session on the list of those that it refuses. Django's "
            "signed_cookies alone has no such list, and a copy stays valid there: the page “Break "
            "it” shows it."
        )
    return _("The site has deleted the session from its store.")


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
