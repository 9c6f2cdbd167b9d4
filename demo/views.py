from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.cache import never_cache

from cookieproj.engines.cookie_settings import MAX_COOKIE_BYTES

from .curl import curl_options
from .four_questions import answers_for
from .page_header import State
from .recipes import GROUPS, RECIPES
from .view_source import highlighted
from .wire import bound_cookie_names, secret_cookie_names


@never_cache
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/index.html", {"groups": GROUPS})


def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers ask for this address if a response names no icon, as the recipes' do not."""
    return redirect(static("demo/cookie.svg"))


@never_cache
def recipe_page(request: HttpRequest, group: str, name: str) -> HttpResponse:
    routes = list(RECIPES)
    try:
        position = routes.index(f"{group}/{name}")
    except ValueError:
        raise Http404 from None
    recipe, state = RECIPES[routes[position]], State(request)
    controls = recipe.controls(request)
    context = {
        "recipe": recipe,
        "controls": controls,
        "curl_options": curl_options(controls),
        "group": next(candidate for candidate in GROUPS if recipe in candidate.recipes),
        "groups": GROUPS,
        # The header's, so that the session is read once.
        "state": state,
        "answers": answers_for(recipe, request, state, controls.data),
        "debug": settings.DEBUG,
        "max_cookie_bytes": MAX_COOKIE_BYTES,
        "csrf_cookie": settings.CSRF_COOKIE_NAME,
        "renewed_cookies": bound_cookie_names(),
        "secret_cookies": secret_cookie_names(),
        "source": highlighted(recipe.source),
        "previous": RECIPES[routes[position - 1]] if position else None,
        "next": RECIPES[routes[position + 1]] if position + 1 < len(routes) else None,
    }
    return render(request, "demo/recipe.html", context)
