"""Sites with unusual settings and models: each works, or a system check reports the mistake."""

from pathlib import Path
from typing import Any

import django
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


# INSTALLED_APPS: its order, and missing apps.


def test_documented_settings_pass_all_checks(site: SmallSite) -> None:
    site.write()
    assert FINE in site.check()


@pytest.mark.parametrize("first_app", ["cookieproj.engines", "django.contrib.sessions"])
def test_app_whose_clearsessions_comes_first_is_a_warning(site: SmallSite, first_app: str) -> None:
    site.write(INSTALLED_APPS=[first_app, *without(first_app)])
    output = site.check()
    assert (
        "(devices.W002) manage.py clearsessions does not clear the registry of signed-in " in output
    )
    assert f"{first_app} stands before cookieproj.devices" in output
    assert ("engines.W005" in output) == (first_app == "django.contrib.sessions")


def test_clearsessions_of_django_is_a_warning_without_devices_app(site: SmallSite) -> None:
    late = without("cookieproj.devices", "cookieproj.engines")
    alone: dict[str, Any] = {
        "MIDDLEWARE": ["cookieproj.engines.middleware.SessionMiddleware"],
        "SESSION_REVOCATION_CHECK": "",
    }
    no_pages = "urlpatterns = []"
    site.write(INSTALLED_APPS=["cookieproj.engines", *late], urls=no_pages, **alone)
    assert FINE in site.check()
    site.write(INSTALLED_APPS=[*late, "cookieproj.engines"], urls=no_pages, **alone)
    output = site.check()
    assert "(engines.W005) manage.py clearsessions is Django's" in output
    assert "List cookieproj.engines before django.contrib.sessions" in output
    # Without the engines app, its command is not expected.
    site.write(urls=no_pages, INSTALLED_APPS=late, **alone)
    assert FINE in site.check()


def test_subclass_of_clearsessions_may_come_first(site: SmallSite) -> None:
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
def test_missing_sessions_app_is_an_error_on_db_engine(site: SmallSite, engine: str) -> None:
    site.write(INSTALLED_APPS=without("django.contrib.sessions"), SESSION_ENGINE=engine)
    output = site.check()
    if engine.endswith("file"):
        assert FINE in output
    else:
        assert f"(engines.E004) SESSION_ENGINE = '{engine}' keeps sessions in a table" in output


def test_missing_auth_app_is_an_error(site: SmallSite) -> None:
    apps = without("django.contrib.auth", "django.contrib.contenttypes")
    site.write(BY_NAME, INSTALLED_APPS=apps)
    output = site.check()
    assert "(devices.E006) Nobody can sign in without django.contrib.auth" in output
    assert "Traceback" not in output


# The model that has the mixin.

CHILD = """
    from django.contrib.auth.models import AbstractUser

    class Person(AbstractUser):
        pass

    class Member(SignOutEverywhereMixin, Person):
        pass
"""

PASSWORD_PROPERTY = """
    class Member(SignOutEverywhereMixin, AbstractBaseUser):
        name = models.CharField(max_length=9, unique=True)
        secret = models.CharField(max_length=128)
        USERNAME_FIELD = "name"
        objects = BaseUserManager()

        @property
        def password(self):
            return self.secret
"""


@pytest.mark.parametrize("models", [CHILD, PASSWORD_PROPERTY])
def test_mixin_on_model_without_password_field_is_an_error(site: SmallSite, models: str) -> None:
    site.write(models)
    output = site.check()
    assert "people.Member: (devices.E005) SignOutEverywhereMixin does not stand at" in output
    assert "without it, signing out everywhere ends the sessions that the registry knows" in output
    assert "Traceback" not in output


NO_PASSWORD = """
    class Member(SignOutEverywhereMixin, AbstractBaseUser):
        password = None
        name = models.CharField(max_length=9, unique=True)
        USERNAME_FIELD = "name"
        objects = BaseUserManager()
"""

PARENT_WITH_MIXIN = """
    class Person(SignOutEverywhereMixin, AbstractBaseUser):
        name = models.CharField(max_length=9, unique=True)
        USERNAME_FIELD = "name"
        objects = BaseUserManager()

    class Member(Person):
        number = models.AutoField(primary_key=True)
        person = models.OneToOneField(Person, models.CASCADE, parent_link=True)
"""

SIGN_OUT_EVERYWHERE = """
    from django.contrib.auth import get_user_model
    from django.test import Client
    from cookieproj.devices.signing_out import devices_of, sign_out_everywhere

    Member = get_user_model()
    # The primary keys of a child and its parent then differ.
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
    "models", [NO_PASSWORD, PARENT_WITH_MIXIN, BY_NAME.replace("(", "(SignOutEverywhereMixin, ", 1)]
)
def test_mixin_on_valid_models_signs_out_everywhere(site: SmallSite, models: str) -> None:
    site.write(models)
    assert FINE in site.check()
    site.migrate()
    site.python(SIGN_OUT_EVERYWHERE)


# A model of the site's own, with nothing but a name.
NO_BASE = """
    class Member(models.Model):
        name = models.CharField(max_length=9, primary_key=True)
        USERNAME_FIELD = "name"
        REQUIRED_FIELDS = []
        is_anonymous, is_authenticated, is_active = False, True, True
        objects = BaseUserManager()

        def get_username(self):
            return self.name
"""

ONE_DEVICE_ONLY = """
    from django.contrib.auth import get_user_model
    from django.test import Client
    from cookieproj.devices.models import SignedInSession

    user = get_user_model()(**{get_user_model().USERNAME_FIELD: "ada"})
    user.save()
    clients = [Client(), Client()]
    for client in clients:
        client.force_login(user)
        assert client.get("/devices/").status_code == 200
    assert clients[0].get("/devices/").status_code == 302
    assert SignedInSession.objects.count() == 1
"""


@pytest.mark.parametrize(
    "models",
    [
        pytest.param(
            NO_BASE,
            marks=pytest.mark.skipif(
                django.VERSION >= (6, 1), reason="login() needs get_session_auth_hash()"
            ),
        ),
        NO_PASSWORD,
        BY_NAME,
        PARENT_WITH_MIXIN,
        CHILD.replace("SignOutEverywhereMixin, ", ""),
    ],
)
def test_limit_of_devices_applies_to_any_user_model(site: SmallSite, models: str) -> None:
    backend = "django.contrib.auth.backends.ModelBackend"
    site.write(models, DEVICES_LIMIT=1, AUTHENTICATION_BACKENDS=[backend])
    site.migrate()
    site.python(ONE_DEVICE_ONLY)


REHASH = """
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


def test_rehash_of_parents_password_is_one_statement(site: SmallSite) -> None:
    """With a query and then an update, a password set between the two would be lost."""
    site.write(PARENT_WITH_MIXIN)
    site.migrate()
    [statement] = site.python(REHASH).splitlines()
    assert statement.startswith('UPDATE "people_person" SET "password"')


# Users that are saved through a model related to the user model.

RELATED_MODELS = """
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

SAVE_THROUGH_EACH = """
    from django.test import Client
    from cookieproj.devices.signals import session_ended
    from people.models import Author, Member, Person, Reviewer

    reasons = []
    receive = lambda reason, **kwargs: reasons.append(reason)
    session_ended.connect(receive)
    user = Reviewer(username="ada")
    user.save()
    for kind in (Member, Person, Reviewer, Author):
        client = Client()
        client.force_login(Member.objects.get())
        saved = kind.objects.get()
        saved.set_password(kind.__name__)
        saved.save()
        assert client.get("/devices/").status_code == 302
    Person(username="nobody's").save()
    print(*reasons, sep=", ")
"""


def test_password_change_through_related_model_sends_signal(site: SmallSite) -> None:
    site.write(RELATED_MODELS)
    site.migrate()
    assert site.python(SAVE_THROUGH_EACH) == ", ".join(["password changed"] * 4)


# Users in another database.

ROUTER = """
    class Router:
        def db_for_read(self, model, **hints):
            return "users" if model._meta.app_label in {separate!r} else "default"

        db_for_write = db_for_read
"""


@pytest.mark.parametrize(
    ("separate", "is_error"),
    [
        (["people", "auth", "contenttypes"], True),
        (["cookieproj_devices"], True),
        (["people", "auth", "contenttypes", "cookieproj_devices"], False),
        (["sessions"], False),
    ],
)
def test_users_and_registry_in_two_databases_are_an_error(
    site: SmallSite, separate: list[str], is_error: bool
) -> None:
    databases = {
        name: {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{name}.sqlite3"}
        for name in ("default", "users")
    }
    site.write(DATABASES=databases, DATABASE_ROUTERS=["router.Router"])
    text = "\n".join(line[4:] for line in ROUTER.format(separate=separate).splitlines())
    (site.folder / "router.py").write_text(text)
    output = site.check()
    if not is_error:
        assert FINE in output
        return
    assert "(devices.E004) The users are in the database" in output
    assert "Let DATABASE_ROUTERS keep the app cookieproj_devices in the database of" in output
    # Reported before the app's tables are created there.
    assert "devices.E004" in site.run("-m", "django", "migrate", "--database=users").stderr


# The template filter.

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


def test_ago_filter_uses_the_language_of_the_page(site: SmallSite) -> None:
    site.write()
    site.migrate()
    english, chinese, _german = site.python(AGO).splitlines()
    assert english == "2 hours ago"
    assert chinese.startswith("2 小时")
    site.write(INSTALLED_APPS=[*APPS, "django.contrib.humanize"])
    assert site.python(AGO).splitlines() == ["2 hours ago", "2小时之前", "vor 2 Stunden"]
