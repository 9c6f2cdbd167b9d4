"""The answers for a signed cookie that the site deletes as soon as it has been used."""

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.contrib.messages.storage import default_storage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from cookieproj.engines.constants import MESSAGES_ITEM
from demo.page_header import State
from demo.recipes.payment import set_order_cookie
from demo.recipes.recipe import Recipe, initial_values
from demo.set_cookie import SetCookie
from demo.wire import set_cookie_lines
from demo.wording import joined

from .answers import Answers, NoAnswers, closing_the_browser, kept_if
from .cookie import answers_of, why_it_is_dropped, with_attributes
from .session import session_answers
from .trial import without_cookies


def messages_answers(recipe: Recipe, state: State) -> Answers | NoAnswers:
    """Return the answers for the cookie of the recipe's message, or for the session that has it."""
    trial = without_cookies(state.request)
    storage: Any = default_storage(trial)
    trial._messages = storage
    recipe.view(trial, **initial_values(recipe.form))
    if not storage.added_new:
        # The recipe shows messages and leaves none.
        storage.add(messages.SUCCESS, "Saved")
    response = HttpResponse()
    storage.update(response)
    lines = list(set_cookie_lines(response))
    if MESSAGES_ITEM in trial.session:
        answers = session_answers(state)
        if lines:
            return about_the_session_with_a_long_message(answers)
        return about_the_session_with_messages(answers)
    cookie = SetCookie(lines[0], state.request)
    about = [_("The cookie %(name)s, in which a message waits until a page shows it.")]
    end = _("Before that, when a page has shown the message.")
    if isinstance(storage, FallbackStorage):
        about.append(_("What does not fit into it waits in your session, and ends with either."))
        end = _("Before that, when a page has shown a message that waited in it.")
    return used_once(
        cookie,
        joined(about),
        end=end,
        event=_("showing the message (a copy of the cookie shows it again)"),
    )


def about_the_session_with_messages(answers: Answers | NoAnswers) -> Answers | NoAnswers:
    if isinstance(answers, NoAnswers):
        return answers
    about = _("MESSAGE_STORAGE keeps messages in the session, so this is about your session.")
    return replace(
        answers,
        about=joined([about, answers.about]),
        end=[*answers.end, message_ends_when_shown()],
    )


def about_the_session_with_a_long_message(answers: Answers | NoAnswers) -> Answers | NoAnswers:
    """Return the answers for the session, and what the browser loses with the message's cookie."""
    if isinstance(answers, NoAnswers):
        return answers
    about = _(
        "The message does not fit into its cookie, which only says that there is more. It waits in "
        "your session, so this is about your session."
    )
    lost = _("When the browser closes, it loses that cookie, and nothing shows the message.")
    closings = [closing_the_browser(has_age=has_age) for has_age in (True, False)]
    others = [event for event in answers.events if event not in closings]
    return replace(
        answers,
        about=joined([about, answers.about]),
        end=[*answers.end, message_ends_when_shown(), lost],
        events=[closing_the_browser(has_age=False), *others],
    )


def message_ends_when_shown() -> str:
    return _("The message alone ends when a page has shown it.")


def order_answers(request: HttpRequest) -> Answers | NoAnswers:
    response = HttpResponse()
    set_order_cookie(response, "order")
    [line] = set_cookie_lines(response)
    return used_once(
        SetCookie(line, request),
        _("The cookie %(name)s, as this recipe sets it."),
        end=_("Before that, when you come back with the receipt for this order."),
        event=_("coming back with the receipt for this order (copies of both are accepted again)"),
    )


def used_once(cookie: SetCookie, about: str, *, end: str, event: str) -> Answers | NoAnswers:
    """Return the answers. ``about`` has a place for the cookie's name."""
    if any(cookie.reasons()):
        return NoAnswers(why_it_is_dropped(cookie))
    answers = answers_of(cookie, is_signed=True)
    return replace(
        answers,
        about=about % {"name": with_attributes(cookie)},
        end=[*answers.end, end],
        events=[*answers.events, kept_if(False, event)],
    )
