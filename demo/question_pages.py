"""The page that asks first and shows the answer by doing it."""

from typing import Any

from django import forms
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from cookieproj.engines.constants import DB, ENGINE_NAMES, SIGNED_COOKIES
from cookieproj.engines.engine_registry import current_engine
from cookieproj.engines.exceptions import SessionStoreError

from .questions import QUESTIONS, Question, answered
from .view_source import highlighted


class GuessForm(forms.Form):
    """The choices of one question."""

    def __init__(self, question: Question, data: Any = None) -> None:
        super().__init__(data, auto_id=f"{question.name}-%s")
        self.fields["guess"] = forms.ChoiceField(
            label=str(question.title),
            choices=list(question.choices.items()),
            widget=forms.RadioSelect,
            error_messages={"required": _("Choose an answer first.")},
        )


@require_safe
@never_cache
def questions(request: HttpRequest) -> HttpResponse:
    return render_questions(request)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def answer(request: HttpRequest, name: str) -> HttpResponse:
    """Check a guess by doing what the question asks, and show the steps.

    A GET redirects to the question: changing the language leads back to this address.
    """
    if name not in QUESTIONS or not can_try():
        raise Http404
    if request.method != "POST":
        return redirect(f"{reverse('demo:questions')}#{name}")
    form = GuessForm(QUESTIONS[name], request.POST)
    if not form.is_valid():
        return render_questions(request, name, form)
    try:
        result = answered(name)
    except (DatabaseError, SessionStoreError):
        form.add_error(None, _("The store does not answer."))
        return render_questions(request, name, form)
    asked, guess = QUESTIONS[name], form.cleaned_data["guess"]
    return render_questions(
        request,
        name,
        form,
        {
            "steps": result.steps,
            "is_right": guess == result.answer,
            "answer": asked.choices[result.answer],
            "why": asked.why[result.answer],
        },
    )


def render_questions(
    request: HttpRequest,
    name: str = "",
    form: GuessForm | None = None,
    outcome: dict[str, Any] | None = None,
) -> HttpResponse:
    """Render the page of all questions, with ``form`` and ``outcome`` on the card of ``name``."""
    cards = [
        {
            "question": question,
            "source": highlighted(question.source),
            "form": form if question.name == name else GuessForm(question),
            "outcome": outcome if question.name == name else None,
        }
        for question in QUESTIONS.values()
    ]
    context = {
        "cards": cards,
        "engine": current_engine().label,
        "other": DB if current_engine().name == SIGNED_COOKIES else SIGNED_COOKIES,
        "can_try": can_try(),
    }
    return render(request, "demo/questions.html", context)


def can_try() -> bool:
    """Whether the running engine is one whose sessions can be kept apart from the site's."""
    return current_engine().name in ENGINE_NAMES
