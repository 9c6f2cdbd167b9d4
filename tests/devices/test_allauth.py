"""A site whose users sign in with django-allauth: its list of devices, and a switch of engines."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.test_own_site import SECTIONS

from .small_sites import APPS, MIDDLEWARE, SmallSite

# Users are named by e-mail address, and their primary keys are not numbers.
MEMBER = """
    from django.contrib.auth.models import PermissionsMixin

    class Member({bases}):
        id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
        email = models.EmailField(unique=True)
        USERNAME_FIELD = "email"
        objects = BaseUserManager()
"""

PLAIN = MEMBER.format(bases="AbstractBaseUser, PermissionsMixin")
WITH_MIXIN = MEMBER.format(bases="SignOutEverywhereMixin, AbstractBaseUser, PermissionsMixin")

URLS = """
    from django.urls import include, path

    urlpatterns = [
        path("accounts/", include("allauth.urls")),
        path("devices/", include("cookieproj.devices.urls")),
    ]
"""

# The settings in the documentation are executed as they are.
DOCUMENTED: dict[str, Any] = {"MIDDLEWARE": [*MIDDLEWARE]}
[(_language, SNIPPET)] = SECTIONS["With django-allauth"]
exec(SNIPPET, {}, DOCUMENTED)

ALLAUTH: dict[str, Any] = DOCUMENTED | {
    "INSTALLED_APPS": [*APPS, "allauth", "allauth.account", "django.contrib.humanize"],
    "AUTHENTICATION_BACKENDS": [
        "django.contrib.auth.backends.ModelBackend",
        "allauth.account.auth_backends.AuthenticationBackend",
    ],
    "ACCOUNT_LOGIN_METHODS": {"email"},
    "ACCOUNT_SIGNUP_FIELDS": ["email*", "password1*", "password2*"],
    "ACCOUNT_USER_MODEL_USERNAME_FIELD": None,
    "ACCOUNT_EMAIL_VERIFICATION": "none",
    "ACCOUNT_RATE_LIMITS": False,
    "EMAIL_BACKEND": "django.core.mail.backends.locmem.EmailBackend",
    "LOGIN_REDIRECT_URL": "/devices/",
}

# allauth's own list stores keys of up to 40 characters, so it cannot list cookie sessions.
USERSESSIONS: dict[str, Any] = {
    "INSTALLED_APPS": [*ALLAUTH["INSTALLED_APPS"], "allauth.usersessions"],
    "MIDDLEWARE": [
        *ALLAUTH["MIDDLEWARE"],
        "allauth.usersessions.middleware.UserSessionsMiddleware",
    ],
}

# The start of each script below.
BROWSERS = """
import json
import re

from django.test import Client
from cookieproj.devices.signals import session_ended, session_started

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
CHROME = FIREFOX.replace("Gecko/20100101 Firefox", "AppleWebKit/537.36 Chrome")
ADA, SECRET, ANOTHER = "ada@example.com", "a3-Long_one", "b4-Long_one"
sent_signals = []

def started(session, **kwargs):
    sent_signals.append("started")

def ended(reason, **kwargs):
    sent_signals.append(reason)

session_started.connect(started)
session_ended.connect(ended)

def browser(agent=FIREFOX, cookie=""):
    client = Client(headers={"user-agent": agent})
    if cookie:
        client.cookies["sessionid"] = cookie
    return client

def sign_in(agent=FIREFOX, password=SECRET):
    client = browser(agent)
    form = {"login": ADA, "password": password}
    assert client.post("/accounts/login/", form).status_code == 302
    return client

def sign_up():
    client = browser()
    form = {"email": ADA, "password1": SECRET, "password2": SECRET}
    assert client.post("/accounts/signup/", form).status_code == 302
    return client

def is_in(client):
    return client.get("/devices/").status_code == 200

def listed(client):
    return re.findall(r"<h2>(.*?)(?: <strong|</h2>)", client.get("/devices/").text)

def buttons(client):
    '''Those of the other devices: the first is for this one.'''
    return re.findall(r'action="(/devices/[-0-9a-f]+/sign-out/)"', client.get("/devices/").text)[1:]

def cookie(client):
    return client.cookies["sessionid"].value
"""

VISITS = """
first = sign_up()
assert listed(first) == ["Firefox on Linux"]
wrong = browser().post("/accounts/login/", {"login": ADA, "password": "wrong"})
assert wrong.status_code == 200
second = sign_in(CHROME)
assert sorted(listed(first)) == ["Chrome on Linux", "Firefox on Linux"]
assert sent_signals == ["started", "started"]

# A device signs out another one.
[button] = buttons(first)
assert first.post(button).status_code == 302
assert [is_in(first), is_in(second)] == [True, False]
assert sent_signals[2:] == ["ended"]

# A password change signs out the others.
second = sign_in(CHROME)
form = {"oldpassword": SECRET, "password1": ANOTHER, "password2": ANOTHER}
assert first.post("/accounts/password/change/", form).status_code == 302
assert [is_in(first), is_in(second)] == [True, False]
assert sent_signals[3:] == ["started", "password changed"]

# Signing out ends only the session itself.
second = sign_in(CHROME, ANOTHER)
assert second.post("/accounts/logout/").status_code == 302
assert not is_in(second)
assert listed(first) == ["Firefox on Linux"]
assert sent_signals[5:] == ["started", "signed out"]

print(json.dumps([cookie(first), cookie(sign_in(CHROME, ANOTHER))]))
"""

AFTER_A_SWITCH = """
first, second = browser(FIREFOX, {cookies}[0]), browser(CHROME, {cookies}[1])
assert [is_in(first), is_in(second)] == [True, True]
assert sorted(listed(first)) == ["Chrome on Linux", "Firefox on Linux"]
third = sign_in(FIREFOX, ANOTHER)
assert len(listed(first)) == 3
for button in buttons(first)[:1]:
    assert first.post(button).status_code == 302
assert [is_in(second), is_in(third)].count(True) == 1
assert first.post("/devices/sign-out-others/").status_code == 302
assert [is_in(first), is_in(second), is_in(third)] == [True, False, False]
print(json.dumps([cookie(first)]))
"""

AFTER_THE_HANDOVER = """
[first] = [browser(FIREFOX, each) for each in {cookies}]
assert is_in(first)
assert listed(first) == ["Firefox on Linux"]
assert first.post("/accounts/logout/").status_code == 302
assert not is_in(first)
assert sent_signals == ["signed out"]
"""

ENGINES = ("db", "cache", "file", "cached_db", "signed_cookies")

# Each engine is once the old one and once the new one.
PAIRS = list(zip(ENGINES, ENGINES[1:] + ENGINES[:1], strict=True))


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A site for each of the two user models. Creating their tables takes seconds."""
    folders = {}
    for models in (PLAIN, WITH_MIXIN):
        site = SmallSite(tmp_path_factory.mktemp("allauth"))
        site.write(models, URLS, **ALLAUTH | USERSESSIONS)
        site.migrate()
        folders[models] = site.folder
    return folders


class AllauthSite:
    def __init__(self, models: str, folder: Path, redis_url: str) -> None:
        self.models = models
        self.site = SmallSite(folder)
        backend = "django.core.cache.backends.redis.RedisCache"
        self.caches = {"default": {"BACKEND": backend, "LOCATION": f"{redis_url}/9"}}

    def configure(self, engine: str, previous: str = "", **settings: Any) -> None:
        self.site.write(
            self.models,
            URLS,
            **ALLAUTH | settings,
            CACHES=self.caches,
            SESSION_ENGINE=f"cookieproj.engines.{engine}",
            SESSION_HANDOVER_FROM=previous,
        )

    def python(self, code: str) -> str:
        return self.site.python(BROWSERS + code)


def site_of(models: str, migrated: dict[str, Path], tmp_path: Path, redis_url: str) -> AllauthSite:
    folder = tmp_path / "site"
    shutil.copytree(migrated[models], folder)
    site = AllauthSite(models, folder, redis_url)
    site.configure("cache")
    site.python("from django.core.cache import cache\ncache.clear()")
    return site


@pytest.mark.matrix
@pytest.mark.long
@pytest.mark.parametrize(
    ("old", "new", "models"),
    [
        *[pytest.param(*pair, PLAIN, id=" to ".join(pair)) for pair in PAIRS],
        pytest.param(*PAIRS[0], WITH_MIXIN, id="mixin"),
        pytest.param(*PAIRS[-1], WITH_MIXIN, id="mixin from cookies"),
    ],
)
def test_allauth_sign_in_is_listed_and_survives_engine_switch(
    old: str, new: str, models: str, migrated: dict[str, Path], tmp_path: Path, redis_url: str
) -> None:
    site = site_of(models, migrated, tmp_path, redis_url)
    usersessions: dict[str, Any] = {} if "signed_cookies" in {old, new} else USERSESSIONS
    site.configure(old, **usersessions)
    assert "no issues" in site.site.check()
    cookies = json.loads(site.python(VISITS))
    site.configure(new, old, **usersessions)
    cookies = json.loads(site.python(AFTER_A_SWITCH.format(cookies=cookies)))
    site.configure(new, **usersessions)
    site.python(AFTER_THE_HANDOVER.format(cookies=cookies))


BOTH_LISTS = """
def rows(client):
    return client.get("/accounts/sessions/").text.count("<tr>") - 1

first, second, third = sign_up(), sign_in(CHROME), sign_in()
assert [rows(first), len(listed(first))] == [3, 3]

# Signed out in our list: gone from both.
[button, _other] = buttons(first)
assert first.post(button).status_code == 302
assert [rows(first), len(listed(first))] == [2, 2]

# Signed out in allauth's list: gone from both.
assert first.post("/accounts/sessions/").status_code == 302
assert [is_in(first), is_in(second), is_in(third)] == [True, False, False]
assert [rows(first), len(listed(first))] == [1, 1]

# A password change: gone from both.
second = sign_in(CHROME)
form = {"oldpassword": SECRET, "password1": ANOTHER, "password2": ANOTHER}
assert first.post("/accounts/password/change/", form).status_code == 302
assert [rows(first), len(listed(first))] == [1, 1]
"""


@pytest.mark.parametrize("engine", ENGINES[:-1])
def test_allauth_usersessions_and_devices_stay_in_step(
    engine: str, migrated: dict[str, Path], tmp_path: Path, redis_url: str
) -> None:
    site = site_of(PLAIN, migrated, tmp_path, redis_url)
    site.configure(engine, **USERSESSIONS)
    site.python(BOTH_LISTS)


OVER_THE_LIMIT = """
first, second = sign_up(), browser(CHROME)
form = {"login": ADA, "password": SECRET}
response = second.post("/accounts/login/", form)
assert response.status_code == 403
assert "already signed in on 1 device" in response.text
assert [is_in(first), is_in(second)] == [True, False]
assert first.post("/accounts/logout/").status_code == 302
assert second.post("/accounts/login/", form).status_code == 302
assert is_in(second)
assert sent_signals == ["started", "signed out", "started"]
"""


def test_allauth_sign_in_over_the_limit_is_refused(
    migrated: dict[str, Path], tmp_path: Path, redis_url: str
) -> None:
    site = site_of(PLAIN, migrated, tmp_path, redis_url)
    site.configure("db", DEVICES_LIMIT=1, DEVICES_OVER_LIMIT="refuse")
    site.python(OVER_THE_LIMIT)
