"""The answers for what a recipe has ended: what is left of it."""

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest
from django.utils.translation import gettext as _

from cookieproj.engines import running_engine
from cookieproj.engines.engine_registry import current_engine
from demo.engine_facts import EngineFacts
from demo.page_header import State
from demo.set_cookie import SetCookie
from demo.wording import duration, joined

from .answers import (
    Answers,
    NoAnswers,
    facts_or_reason,
    it_has_ended,
    no_answers,
    nothing_to_change,
)
from .cookie import sign_in_cookie
from .session import session_answers, who_can_change_the_data, who_can_read_the_data


def ended_session_answers(state: State) -> Answers | NoAnswers:
    """Return the answers for the session after its site has ended it."""
    facts = known_facts(state)
    if isinstance(facts, NoAnswers):
        return facts
    about = about_its_end(
        state, _("Your session, after this recipe has ended it, on the engine %(engine)s.")
    )
    if facts.outlives_deletion:
        return Answers(
            about,
            read=[readers_of_a_copy(facts)],
            change=list(who_can_change_the_data(facts)),
            end=[has_ended_in_this_browser()],
            left=copies_after_the_end(state),
            is_session=True,
        )
    return Answers(
        about,
        read=[_("Nobody: this site has deleted it from its store.")],
        change=[nothing_to_change()],
        end=[it_has_ended()],
        left=_("Nothing: no copy of the cookie opens it."),
        is_session=True,
    )


def left_session_answers(state: State) -> Answers | NoAnswers:
    """Return the answers for the session after the browser alone has deleted its cookie."""
    if SetCookie("", state.request).is_over_plain_http:
        # The browser ignores the header Clear-Site-Data, and keeps the cookie.
        return session_answers(state)
    facts = known_facts(state)
    if isinstance(facts, NoAnswers):
        return facts
    return Answers(
        about=about_its_end(
            state,
            _("Your session, after the browser has deleted its cookie, on the engine %(engine)s."),
        ),
        read=[readers_of_a_copy(facts)] if facts.is_session else list(who_can_read_the_data(facts)),
        change=list(who_can_change_the_data(facts)),
        end=[
            has_ended_in_this_browser(),
            _("A copy of the cookie is valid until the session expires."),
        ],
        left=_("Only copies of the cookie, which are the session.")
        if facts.is_session
        else _("The session in the store. A copy of the cookie opens it."),
        is_session=True,
    )


def deleted_sign_in_answers(request: HttpRequest) -> Answers:
    """Return the answers for the cookie of login_auth after a sign-out."""
    cookie = sign_in_cookie(request)
    name, age = cookie.pair[0], duration(cookie.age or 0)
    return Answers(
        about=_("The cookie %(name)s, after this recipe has deleted it.") % {"name": name},
        read=[
            _("Everybody who has a copy of it: it is signed, not encrypted."),
            _("Whoever has one is signed in."),
        ],
        change=[
            _(
                "Only this site can do so unnoticed: it refuses a cookie that somebody else has "
                "changed."
            )
        ],
        end=[
            has_ended_in_this_browser(),
            _("A copy is valid until %(time)s after the sign-in, or until a new password.")
            % {"time": age},
        ],
        left=_("Nothing in this browser. Copies of the cookie stay valid."),
    )


def known_facts(state: State) -> EngineFacts | NoAnswers:
    return no_answers(state.failure) if state.failure else facts_or_reason(current_engine())


def about_its_end(state: State, text: str) -> str:
    """Return the text. Without a session nobody knows whether the recipe has ended one."""
    about = text % {"engine": current_engine().label}
    if state.has_session:
        return about
    none = _("This browser has no session now. If it had one, this is about that one.")
    return joined([none, about])


def has_ended_in_this_browser() -> str:
    return _("In this browser it has ended.")


def readers_of_a_copy(facts: EngineFacts) -> str:
    if facts.is_readable:
        return _("Everybody who has a copy of the cookie: it is signed, not encrypted.")
    return _("Only this site, from a copy of the cookie: it is encrypted.")


def copies_after_the_end(state: State) -> str:
    """Return what copies are worth. Without a session, this site does not know who had it."""
    if running_engine.why_not_single():
        return _(
            "Copies of the cookie, which are valid until they expire: this site keeps no list of "
            "those that it refuses."
        )
    if SESSION_KEY in state.request.session:
        return _(
            "Copies of the cookie, which this site refuses: login() has signed this session in."
        )
    if state.has_session:
        return _(
            "Copies of the cookie, which are valid until they expire: login() has not signed this "
            "session in, so this site does not refuse them."
        )
    return _(
        "Copies of the cookie, which are valid until they expire. Only if login() had signed the "
        "session in does this site refuse them."
    )
