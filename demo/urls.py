from django.urls import URLPattern, URLResolver, include, path

from . import (
    attack_pages,
    bound_page,
    engines_page,
    from_flask,
    language,
    question_pages,
    session_page,
    switch_page,
    views,
)
from .recipes import GROUPS, Group, auth, in_path, leaving, other_sites, payment

app_name = "demo"

PAGES: list[URLPattern] = [
    path("", views.index, name="index"),
    path("favicon.ico", views.favicon, name="favicon"),
    path("recipes/<slug:group>/<slug:name>/", views.recipe_page, name="recipe"),
    path("in-path/<str:token>/<slug:name>/", in_path.page, name="in-path"),
    path("leaving/page/", leaving.page, name="leaving-page"),
    path("leaving/no-store-page/", leaving.no_store_page, name="leaving-no-store-page"),
    path("auth/transfer/", auth.transfer, name="transfer"),
    path("auth/transfer/send/", auth.send, name="send"),
    path("language/", language.choose, name="language"),
    path("session/", session_page.session_page, name="session"),
    path("engines/", engines_page.engines, name="engines"),
    path("engines/measure/", engines_page.measure, name="engines-measure"),
    path("break/", attack_pages.attacks, name="break"),
    path("break/<slug:name>/", attack_pages.run_attack, name="break-it"),
    path("questions/", question_pages.questions, name="questions"),
    path("questions/<slug:name>/", question_pages.answer, name="answer"),
    path("from-flask/", from_flask.from_flask, name="from-flask"),
    path("bound/", bound_page.bound, name="bound"),
    path("bound/proof/", bound_page.proof, name="proof"),
    path("bound/steal/", bound_page.steal, name="steal"),
    path("switch/", switch_page.switch, name="switch"),
    *other_sites.PAGES,
    *payment.PAGES,
]


def group_urls(group: Group) -> URLResolver:
    """Return the URLs of a group of recipes; Django skips all of them for another group's path."""
    recipes = [
        path(f"{recipe.name}/", recipe.served, name=recipe.route) for recipe in group.recipes
    ]
    return path(f"{group.recipes[0].group}/", include(recipes))


urlpatterns = [*map(group_urls, GROUPS), *PAGES]
