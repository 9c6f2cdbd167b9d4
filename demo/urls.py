from django.urls import path

from . import breaking, comparing, language, switch, views, where
from .recipes import RECIPES, in_path

app_name = "demo"
urlpatterns = [
    path("", views.index, name="index"),
    path("recipes/<slug:group>/<slug:name>/", views.recipe_page, name="recipe"),
    path("in-path/<str:token>/<slug:name>/", in_path.page, name="in-path"),
    path("language/", language.choose, name="language"),
    path("session/", where.where, name="where"),
    path("engines/", comparing.engines, name="engines"),
    path("engines/measure/", comparing.measure, name="engines-measure"),
    path("break/", breaking.breaking, name="break"),
    path("break/<slug:name>/", breaking.break_it, name="break-it"),
    path("switch/", switch.switch, name="switch"),
    *(path(f"{route}/", recipe.served, name=route) for route, recipe in RECIPES.items()),
]
