"""The page of attacks on cookies and sessions."""

from collections.abc import Sequence

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from .attacks import ATTEMPTS, Trial
from .view_source import highlighted


@require_safe
@never_cache
def attacks(request: HttpRequest) -> HttpResponse:
    return render_attacks(request)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def run_attack(request: HttpRequest, name: str) -> HttpResponse:
    """Run one attack and show its trials on the page of all attacks.

    A GET redirects to the attack's card: changing the language leads back to this address.
    """
    if name not in ATTEMPTS:
        raise Http404
    if request.method != "POST":
        return redirect(f"{reverse('demo:break')}#{name}")
    return render_attacks(request, name, list(ATTEMPTS[name].run()))


def render_attacks(
    request: HttpRequest, attempted: str = "", trials: Sequence[Trial] = ()
) -> HttpResponse:
    """Render the page of all attacks, with ``trials`` on the card of ``attempted``."""
    attempts = [(attempt, highlighted(attempt.source)) for attempt in ATTEMPTS.values()]
    context = {
        "attempts": attempts,
        "attempted": attempted,
        "trials": trials,
        "harmful": sum(not trial.withstood for trial in trials),
    }
    return render(request, "demo/attacks.html", context)
