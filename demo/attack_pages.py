"""The page on which one breaks cookies and sessions, or fails to."""

from collections.abc import Sequence

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from .attacks import ATTEMPTS, Trial
from .view_source import coloured


@require_safe
@never_cache
def breaking(request: HttpRequest) -> HttpResponse:
    return page(request)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def break_it(request: HttpRequest, name: str) -> HttpResponse:
    """Make one attempt, and show what came of it in its place.

    Who comes back to that address, by a change of language say, finds the attempt.
    """
    if name not in ATTEMPTS:
        raise Http404
    if request.method != "POST":
        return redirect(f"{reverse('demo:break')}#{name}")
    return page(request, name, list(ATTEMPTS[name].make()))


def page(request: HttpRequest, made: str = "", trials: Sequence[Trial] = ()) -> HttpResponse:
    attempts = [(attempt, coloured(attempt.source)) for attempt in ATTEMPTS.values()]
    context = {"attempts": attempts, "made": made, "trials": trials}
    return render(request, "demo/breaking.html", context)
