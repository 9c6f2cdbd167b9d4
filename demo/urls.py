from django.urls import path

from . import views
from .recipes import RECIPES, in_path

app_name = "demo"
urlpatterns = [
    path("", views.index, name="index"),
    path("recipes/<slug:group>/<slug:name>/", views.recipe_page, name="recipe"),
    path("in-path/<str:token>/<slug:name>/", in_path.page, name="in-path"),
    *(path(f"{route}/", recipe.served, name=route) for route, recipe in RECIPES.items()),
]
