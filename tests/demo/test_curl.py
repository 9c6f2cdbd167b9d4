"""The curl command on a recipe's page has every field of its form."""

from django import forms
from django.test import Client

from demo.curl import curl_options


class AnyForm(forms.Form):
    text = forms.CharField(initial="it's")
    empty = forms.CharField(required=False)
    choice = forms.ChoiceField(choices=[("a", "A"), ("b", "B")], initial="b")
    checked = forms.BooleanField(initial=True)
    unchecked = forms.BooleanField()
    password = forms.CharField(widget=forms.PasswordInput)


def test_options_are_what_a_browser_sends() -> None:
    assert curl_options(AnyForm()) == [
        f"--data-urlencode {text}"
        for text in ("'text=it'\\''s'", "'empty='", "'choice=b'", "'checked=on'", "'password=…'")
    ]


def test_recipe_without_fields(client: Client, db: None) -> None:
    page = client.get("/recipes/lifecycle/flush/").content.decode()
    assert "-d &#x27;&#x27; " in page or "-d '' " in page
    assert "--data-urlencode" not in page
