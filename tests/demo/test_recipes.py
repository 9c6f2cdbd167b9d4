"""Every recipe runs on every profile, and has a page with its source and controls."""

import pytest
from django.http import HttpRequest
from django.test import Client
from django.urls import reverse

from demo.models import User
from demo.recipes import GROUPS, RECIPES
from demo.recipes.recipe import Recipe
from demo.view_source import source_of

ALL = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


@ALL
def test_recipe_runs_on_every_profile(
    recipe: Recipe, profile: str, client: Client, ada: User
) -> None:
    for method in recipe.methods:
        client.force_login(ada)
        response = client.generic(method, recipe.url)
        assert response.status_code in (200, 302), response.content
        assert "no-store" in response.headers["Cache-Control"]
        assert "Cookie" in response.headers["Vary"]


@ALL
def test_recipe_page_shows_source_and_controls(recipe: Recipe, client: Client, db: None) -> None:
    page = client.get(recipe.page_url)
    content = page.content.decode()
    assert f'<span class="nf">{recipe.view.__name__}</span>' in content
    assert f'action="{recipe.url}" method="{recipe.form_method}"' in content
    for field in recipe.controls(HttpRequest()).fields:
        assert f'name="{field}"' in content
    assert ("csrfmiddlewaretoken" in content) == (recipe.form_method == "post")


@ALL
def test_other_methods_are_refused(recipe: Recipe, client: Client) -> None:
    for method in {"POST", "PUT", "DELETE"} - set(recipe.methods):
        response = client.generic(method, recipe.url)
        assert response.status_code == 405
        assert method in response.content.decode()


def test_index_lists_every_recipe_by_group(client: Client) -> None:
    content = client.get(reverse("demo:index")).content.decode()
    assert content.count('<h3 id="group-') == len(GROUPS)
    for recipe in RECIPES.values():
        assert f'href="{recipe.page_url}"' in content


@pytest.mark.parametrize("path", ["/recipes/cookies/none/", "/recipes/none/max-age/", "/none/"])
def test_unknown_page_is_a_404(path: str, client: Client) -> None:
    assert client.get(path).status_code == 404


@ALL
def test_post_requires_csrf_token(recipe: Recipe, db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    if "POST" in recipe.methods and recipe.route != "in-path/begin":
        response = client.post(recipe.url)
        assert response.status_code == 403
        assert not response.cookies or set(response.cookies) == {"csrftoken"}


def test_source_omits_recipe_decorator() -> None:
    source = RECIPES["cookies/set-cookie"].source
    assert source.startswith("def set_cookie(request")
    assert 'response.set_cookie(name, quote(value, safe=""))' in source


def test_source_keeps_other_decorators_and_adds_helpers() -> None:
    assert RECIPES["auth/cookie-account"].source.startswith("@login_auth\ndef cookie_account")
    assert "def next_page(" in RECIPES["auth/sign-in"].source


def test_source_of_class_is_refused() -> None:
    with pytest.raises(TypeError, match="not a function"):
        source_of(Recipe)


def test_missing_field_has_its_initial_value(client: Client) -> None:
    response = client.get("/cookies/set-cookie/", {"value": "red"})
    assert response.cookies["color"].value == "red"


def test_empty_field_is_refused(client: Client) -> None:
    assert client.get("/cookies/set-cookie/", {"name": ""}).status_code == 400


def test_curl_command_has_referer_over_https(client: Client, db: None) -> None:
    """Django refuses the request without the header."""
    option = "-e &#x27;https://testserver/&#x27;"
    page = client.get("/recipes/sessions/set-item/", secure=True).content.decode()
    assert option in page or option.replace("&#x27;", "'") in page
    assert "-e '" not in client.get("/recipes/sessions/set-item/").content.decode()
    csrf_client = Client(enforce_csrf_checks=True)
    csrf_client.get("/recipes/sessions/set-item/", secure=True)
    token = csrf_client.cookies["csrftoken"].value
    for headers, status in (({}, 403), ({"Referer": "https://testserver/"}, 200)):
        response = csrf_client.post(
            "/sessions/set-item/", secure=True, headers={"X-CSRFToken": token, **headers}
        )
        assert response.status_code == status


@ALL
def test_forms_of_a_recipe_share_their_fields(recipe: Recipe, client: Client, ada: User) -> None:
    """No form changes a field, so that serving the recipe leaves all of them as they were."""
    first, second = recipe.form(), recipe.form()
    assert first.fields is not second.fields
    before = {name: dict(vars(field)) for name, field in first.fields.items()}
    client.get(recipe.page_url)
    client.generic(recipe.methods[0], recipe.url)
    for name, field in second.fields.items():
        assert field is first.fields[name]
        assert vars(field) == before[name]
