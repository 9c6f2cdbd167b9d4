"""django-axes beside the page that asks for the password, as ``docs/own-site.md`` sets it up."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.test_own_site import SECTIONS

from .small_sites import APPS, MIDDLEWARE, PLAIN, SmallSite

# The settings in the documentation are executed as they are.
DOCUMENTED: dict[str, Any] = {"INSTALLED_APPS": [*APPS], "MIDDLEWARE": [*MIDDLEWARE]}
[SNIPPET] = [text for language, text in SECTIONS["With django-axes"] if language == "python"]
exec(SNIPPET, {}, DOCUMENTED)

# Fewer than the page's own free tries.
AXES: dict[str, Any] = DOCUMENTED | {"AXES_FAILURE_LIMIT": 2}

URLS = """
    from cookieproj.devices.decorators import recently_authenticated
    from django.contrib.auth.views import LoginView
    from django.http import HttpResponse
    from django.urls import include, path

    @recently_authenticated(60)
    def transfer(request):
        return HttpResponse("sent to " + request.POST["to"])

    urlpatterns = [
        path("sign-in/", LoginView.as_view(), name="sign-in"),
        path("transfer/", transfer),
        path("devices/", include("cookieproj.devices.urls")),
    ]
"""

# Each browser's session is old, so the page asks for the password.
SCRIPT = """
import json
import re
from django.contrib.auth import get_user_model
from django.test import Client

FIELD = "cookieproj_devices-password"
people = get_user_model().objects
people.filter(username="ada").delete()
people.create_user("ada", password="cookies")

def browser():
    client = Client(REMOTE_ADDR="192.0.2.1")
    client.force_login(people.get(), "django.contrib.auth.backends.ModelBackend")
    session = client.session
    session["_session_auth_time"] = 0
    session.save()
    return client

def tried(client, password):
    page = client.post("/transfer/", {{"to": "eve"}})
    kept = re.search('name="cookieproj_devices-kept" value="([^"]*)"', page.text)[1]
    form = {{FIELD: password, "cookieproj_devices-kept": kept}}
    response = client.post("/transfer/", form)
    return response.status_code, "Account locked" in response.text, response.text[-11:]

{statements}
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def migrated_site(tmp_path_factory: pytest.TempPathFactory) -> SmallSite:
    pytest.importorskip("axes")
    folder: Path = tmp_path_factory.mktemp("site")
    small_site = SmallSite(folder)
    small_site.write(PLAIN, URLS, **AXES)
    small_site.migrate()
    return small_site


@pytest.fixture
def site(migrated_site: SmallSite) -> SmallSite:
    migrated_site.write(PLAIN, URLS, **AXES)
    return migrated_site


def results(site: SmallSite, statements: str) -> Any:
    return json.loads(site.python(SCRIPT.format(statements=statements)))


def test_lockout_of_axes_answers_the_page_too(site: SmallSite) -> None:
    assert site.check() == "System check identified no issues (0 silenced).\n"
    tries = results(
        site,
        "client = browser()\n"
        "results = [tried(client, password) for password in ('a', 'b', 'cookies')]\n",
    )
    assert [status for status, _locked, _text in tries] == [403, 429, 429]
    assert [locked for _status, locked, _text in tries] == [False, True, True]


def test_right_password_is_accepted_and_clears_the_tries_of_axes(site: SmallSite) -> None:
    tries = results(
        site,
        "from axes.utils import reset\n"
        "reset()\n"
        "client = browser()\n"
        "results = [tried(client, 'a'), tried(client, 'cookies')]\n"
        "client = browser()\n"
        "results += [tried(client, 'a'), tried(client, 'cookies')]\n",
    )
    assert [tuple(tried) for tried in tries[1::2]] == [(200, False, "sent to eve")] * 2


def test_page_goes_on_without_axes(site: SmallSite) -> None:
    site.write(PLAIN, URLS)
    tries = results(
        site,
        "client = browser()\n"
        "results = [tried(client, password) for password in ('a', 'b', 'cookies')]\n",
    )
    assert [status for status, _locked, _text in tries] == [403, 403, 200]
