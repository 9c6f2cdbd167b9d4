from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from .recipes import GROUPS, RECIPES
from .view_source import coloured
from .wire import secret_names


@never_cache
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "demo/index.html", {"groups": GROUPS})


@never_cache
def recipe_page(request: HttpRequest, group: str, name: str) -> HttpResponse:
    routes = list(RECIPES)
    try:
        place = routes.index(f"{group}/{name}")
    except ValueError:
        raise Http404 from None
    recipe = RECIPES[routes[place]]
    context = {
        "recipe": recipe,
        "group": next(listed for listed in GROUPS if recipe in listed.recipes),
        "groups": GROUPS,
        "debug": settings.DEBUG,
        "secrets": secret_names(),
        "source": coloured(recipe.source),
        "previous": RECIPES[routes[place - 1]] if place else None,
        "next": RECIPES[routes[place + 1]] if place + 1 < len(routes) else None,
    }
    return render(request, "demo/recipe.html", context)
