"""The four questions: who can read it, who can change it, when does it end, what survives.

Every answer is computed: from the running engine, the settings, this session, or the cookie that
a recipe sets.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from demo.page_header import State
from demo.recipes.recipe import Recipe, Subject
from demo.wording import joined

from .answers import Answers, NoAnswers
from .cookie import cookie_answers, sign_in_answers
from .ended import deleted_sign_in_answers, ended_session_answers, left_session_answers
from .in_address import address_answers
from .session import session_answers
from .used_once import messages_answers, order_answers

__all__ = ["Answers", "answers_for", "session_answers"]


def answers_for(
    recipe: Recipe, request: HttpRequest, state: State, values: Mapping[str, Any]
) -> Answers | NoAnswers:
    """Return the answers about what the recipe works on, or why there are none.

    ``values`` are those of the recipe's form; a missing one is its initial value.
    """
    match recipe.subject:
        case Subject.PLAIN_COOKIE | Subject.SIGNED_COOKIE | Subject.COOKIE_WITH_OWN_KEY:
            answers = cookie_answers(recipe, request, values)
        case Subject.SIGN_IN_COOKIE:
            answers = sign_in_answers(request)
        case Subject.DELETED_SIGN_IN_COOKIE:
            answers = deleted_sign_in_answers(request)
        case Subject.SESSION:
            answers = session_answers(state)
        case Subject.ENDED_SESSION:
            answers = ended_session_answers(state)
        case Subject.LEFT_SESSION:
            answers = left_session_answers(state)
        case Subject.SESSION_IN_ADDRESS:
            answers = address_answers(request)
        case Subject.NOTHING:
            answers = about_the_session_instead(session_answers(state))
        case Subject.MESSAGES:
            answers = messages_answers(recipe, state)
        case Subject.ORDER_COOKIE:
            answers = order_answers(request)
    return answers


def about_the_session_instead(answers: Answers | NoAnswers) -> Answers | NoAnswers:
    if isinstance(answers, NoAnswers):
        return answers
    about = _("This recipe has no single cookie to describe, so this is about your session.")
    return replace(answers, about=joined([about, answers.about]))
