"""What is wrong in a site is said by a check, or works: each in a process of its own."""

from pathlib import Path
from typing import Any

import pytest

from .small_sites import APPS, SmallSite


@pytest.fixture
def site(tmp_path: Path) -> SmallSite:
    return SmallSite(tmp_path)


def without(*names: str) -> list[str]:
    return [name for name in APPS if name not in names]


FINE = "System check identified no issues"

BY_NAME = """
    class Member(AbstractBaseUser):
        name = models.CharField(max_length=9, unique=True)
        USERNAME_FIELD = "name"
        objects = BaseUserManager()
"""


# The order of INSTALLED_APPS, and what is missing there.


def test_a_site_as_documented_is_fine(site: SmallSite) -> None:
    site.write()
    assert FINE in site.check()


@pytest.mark.parametrize("first", ["cookieproj.engines", "django.contrib.sessions"])
def test_the_command_of_another_app_comes_first(site: SmallSite, first: str) -> None:
    site.write(INSTALLED_APPS=[first, *without(first)])
    said = site.check()
    assert (
        "(devices.W002) manage.py clearsessions does not clear the registry of signed-in " in said
    )
    assert f"{first} stands before cookieproj.devices" in said
    assert ("engines.W005" in said) == (first == "django.contrib.sessions")


def test_so_without_devices(site: SmallSite) -> None:
    late = without("cookieproj.devices", "cookieproj.engines")
    alone: dict[str, Any] = {
        "MIDDLEWARE": ["cookieproj.engines.middleware.SessionMiddleware"],
        "SESSION_REVOCATION_CHECK": "",
    }
    no_pages = "urlpatterns = []"
    site.write(INSTALLED_APPS=["cookieproj.engines", *late], urls=no_pages, **alone)
    assert FINE in site.check()
    site.write(INSTALLED_APPS=[*late, "cookieproj.engines"], urls=no_pages, **alone)
    said = site.check()
    assert "(engines.W005) manage.py clearsessions is Django's" in said
    assert "List cookieproj.engines before django.contrib.sessions" in said
    # One that has not installed the app has nothing to expect.
    site.write(urls=no_pages, INSTALLED_APPS=late, **alone)
    assert FINE in site.check()


def test_a_command_of_the_sites_own_may_come_first(site: SmallSite) -> None:
    site.write()
    commands = site.folder / "people" / "management" / "commands"
    commands.mkdir(parents=True)
    for folder in (commands.parent, commands):
        (folder / "__init__.py").touch()
    (commands / "clearsessions.py").write_text(
        "from cookieproj.devices.management.commands.clearsessions import Command\n"
    )
    assert FINE in site.check()


@pytest.mark.parametrize("engine", ["cookieproj.engines.db", "cookieproj.engines.file"])
def test_without_the_app_of_the_table(site: SmallSite, engine: str) -> None:
    site.write(INSTALLED_APPS=without("django.contrib.sessions"), SESSION_ENGINE=engine)
    said = site.check()
    if engine.endswith("file"):
        assert FINE in said
    else:
        assert f"(engines.E004) SESSION_ENGINE = '{engine}' keeps sessions in a table" in said


def test_without_what_users_sign_in_by(site: SmallSite) -> None:
    apps = without("django.contrib.auth", "django.contrib.contenttypes")
    site.write(BY_NAME, INSTALLED_APPS=apps)
    said = site.check()
    assert "(devices.E006) Nobody can sign in without django.contrib.auth" in said
    assert "Traceback" not in said


# Where the mixin stands.

CHILD = """
    from django.contrib.auth.models import AbstractUser

    class Person(AbstractUser):
        pass

    class Member(SignOutEverywhereMixin, Person):
        pass
"""

ELSEWHERE = """
    class Member(SignOutEverywhereMixin, AbstractBaseUser):
        name = models.CharField(max_length=9, unique=True)
        secret = models.CharField(max_length=128)
        USERNAME_FIELD = "name"
        objects = BaseUserManager()

        @property
        def password(self):
            return self.secret
"""


@pytest.mark.parametrize("models", [CHILD, ELSEWHERE])
def test_a_mixin_that_has_no_password_beside_it(site: SmallSite, models: str) -> None:
    site.write(models)
    said = site.check()
    assert "people.Member: (devices.E005) SignOutEverywhereMixin does not stand at" in said
    assert "without it, signing out everywhere ends the sessions that the registry knows" in said
    assert "Traceback" not in said


NO_PASSWORD = """
    class Member(SignOutEverywhereMixin, AbstractBaseUser):
        password = None
        name = models.CharField(max_length=9, unique=True)
        USERNAME_FIELD = "name"
        objects = BaseUserManager()
"""

OF_A_PARENT = """
    class Person(SignOutEverywhereMixin, AbstractBaseUser):
        name = models.CharField(max_length=9, unique=True)
        USERNAME_FIELD = "name"
        objects = BaseUserManager()

    class Member(Person):
        number = models.AutoField(primary_key=True)
        person = models.OneToOneField(Person, models.CASCADE, parent_link=True)
"""

EVERYWHERE = """
    from django.contrib.auth import get_user_model
    from django.test import Client
    from cookieproj.devices.signing_out import devices_of, sign_out_everywhere

    Member = get_user_model()
    # So that the keys of a child and its parent are not the same.
    Member._meta.get_field("name").model(name="nobody").save()
    user = Member(name="ada")
    user.save()
    clients = [Client(), Client()]
    for client in clients:
        client.force_login(user)
        assert client.get("/devices/").status_code == 200
    assert sign_out_everywhere(user) == 2
    assert [client.get("/devices/").status_code for client in clients] == [302, 302]
    assert Member.objects.get(name="ada").sign_outs == 1
    user.save()
    assert Member.objects.get(name="ada").sign_outs == 1
    clients[0].force_login(Member.objects.get(name="ada"))
    assert len(devices_of(user)) == 1
    assert clients[0].post("/devices/sign-out-others/").status_code == 302
    assert clients[0].get("/devices/").status_code == 200
"""


@pytest.mark.parametrize(
    "models", [NO_PASSWORD, OF_A_PARENT, BY_NAME.replace("(", "(SignOutEverywhereMixin, ", 1)]
)
def test_where_it_may_stand_it_signs_out_everywhere(site: SmallSite, models: str) -> None:
    site.write(models)
    assert FINE in site.check()
    site.migrate()
    site.python(EVERYWHERE)


HASHED_ANEW = """
    from django.conf import settings
    from django.contrib.auth.hashers import make_password
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext, override_settings
    from people.models import Member, Person

    Person(name="nobody").save()
    user = Member(name="ada", password=make_password("cookies"))
    user.save()
    client = Client()
    client.force_login(user)
    hashers = ["django.contrib.auth.hashers.PBKDF2PasswordHasher", *settings.PASSWORD_HASHERS]
    with override_settings(PASSWORD_HASHERS=hashers), CaptureQueriesContext(connection) as captured:
        assert user.check_password("cookies")
    for each in captured:
        print(each["sql"])
    assert Member.objects.get().password == user.password
    assert user.password.startswith("pbkdf2")
    assert client.get("/devices/").status_code == 200
"""


def test_a_password_of_a_parent_is_hashed_anew_by_one_statement(site: SmallSite) -> None:
    """Of one that looks, and of another that writes, another password would be lost between."""
    site.write(OF_A_PARENT)
    site.migrate()
    [statement] = site.python(HASHED_ANEW).splitlines()
    assert statement.startswith('UPDATE "people_person" SET "password"')


# Users that are saved as something else than the user model.

RELATED = """
    from django.contrib.auth.models import AbstractUser

    class Person(AbstractUser):
        pass

    class Member(Person):
        pass

    class Reviewer(Member):
        pass

    class Author(Member):
        class Meta:
            proxy = True
"""

SAVED = """
    from django.test import Client
    from cookieproj.devices.signals import session_ended
    from people.models import Author, Member, Person, Reviewer

    told = []
    hear = lambda reason, **kwargs: told.append(reason)
    session_ended.connect(hear)
    user = Reviewer(username="ada")
    user.save()
    for kind in (Member, Person, Reviewer, Author):
        client = Client()
        client.force_login(Member.objects.get())
        again = kind.objects.get()
        again.set_password(kind.__name__)
        again.save()
        assert client.get("/devices/").status_code == 302
    Person(username="nobody's").save()
    print(*told, sep=", ")
"""


def test_it_is_told_whatever_model_the_user_is_saved_by(site: SmallSite) -> None:
    site.write(RELATED)
    site.migrate()
    assert site.python(SAVED) == ", ".join(["password changed"] * 4)


# Users in another database.

ROUTER = """
    class Router:
        def db_for_read(self, model, **hints):
            return "users" if model._meta.app_label in {apart!r} else "default"

        db_for_write = db_for_read
"""


@pytest.mark.parametrize(
    ("apart", "is_wrong"),
    [
        (["people", "auth", "contenttypes"], True),
        (["cookieproj_devices"], True),
        (["people", "auth", "contenttypes", "cookieproj_devices"], False),
        (["sessions"], False),
    ],
)
def test_users_and_registry_in_two_databases(
    site: SmallSite, apart: list[str], is_wrong: bool
) -> None:
    two = {
        name: {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{name}.sqlite3"}
        for name in ("default", "users")
    }
    site.write(DATABASES=two, DATABASE_ROUTERS=["router.Router"])
    text = "\n".join(line[4:] for line in ROUTER.format(apart=apart).splitlines())
    (site.folder / "router.py").write_text(text)
    said = site.check()
    if not is_wrong:
        assert FINE in said
        return
    assert "(devices.E004) The users are in the database" in said
    assert "Let DATABASE_ROUTERS keep the app cookieproj_devices in the database of" in said
    # Before a table of it is made there.
    assert "devices.E004" in site.ran("-m", "django", "migrate", "--database=users").stderr


# How long ago that was.

AGO = """
    from datetime import timedelta
    from django.template import Context, Template
    from django.utils import timezone, translation

    moment = timezone.now() - timedelta(hours=2, minutes=3)
    page = Template("{% load cookieproj_devices %}{{ moment|ago }}")
    for language in ("en", "zh-hans", "de"):
        with translation.override(language):
            print(page.render(Context({"moment": moment})).replace("\\xa0", " "))
"""


def test_it_says_how_long_ago_in_the_language_of_the_page(site: SmallSite) -> None:
    site.write()
    site.migrate()
    english, chinese, _german = site.python(AGO).splitlines()
    assert english == "2 hours ago"
    assert chinese.startswith("2 小时")
    site.write(INSTALLED_APPS=[*APPS, "django.contrib.humanize"])
    assert site.python(AGO).splitlines() == ["2 hours ago", "2小时之前", "vor 2 Stunden"]
