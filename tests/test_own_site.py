"""The wheel, and the commands and code of ``docs/own-site.md`` in an empty environment."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .sites import ROOT

PAGE = (ROOT / "docs" / "own-site.md").read_text()

# The page's sections, each with its blocks of code: their language and their text.
SECTIONS = {
    part.partition("\n")[0]: re.findall(r"```(\w+)\n(.*?)```", part, re.DOTALL)
    for part in PAGE.split("\n## ")[1:]
}

FILE_NAME = re.compile(r"(?:# |<!-- )([\w/.]+\.\w+)")

# A site that exists already: users have UUIDs, and sessions use Django's engine db.
MODELS = """
import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models


class Member(AbstractUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
"""

SETTINGS = """
INSTALLED_APPS = ["people", *INSTALLED_APPS]
AUTH_USER_MODEL = "people.Member"
LOGIN_URL = "admin:login"
"""

SIGN_IN = """
from django.contrib.auth import get_user_model
from django.test import Client

user, _created = get_user_model().objects.get_or_create(
    username="ada", is_staff=True, is_superuser=True
)
client = Client()
client.force_login(user)
print(client.cookies["sessionid"].value)
"""

STATUSES = """
from django.test import Client

for key in {keys!r}:
    client = Client(HTTP_HOST="localhost")
    client.cookies["sessionid"] = key
    print(client.get({path!r}).status_code)
"""


DEVICES_PAGE = """
from django.test import Client

client = Client(HTTP_HOST="localhost")
client.cookies["sessionid"] = {key!r}
print(client.get("/devices/").text)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    [path] = folder.glob("*.whl")
    return path


def test_wheel_contains_only_the_two_apps(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(
        ["git", "ls-files", "cookieproj/engines", "cookieproj/devices"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    ours = {name for name in tracked if not name.endswith(".po")}
    assert names == ours | {"cookieproj/__init__.py", "cookieproj/py.typed"}
    suffixes = {Path(name).suffix for name in names}
    assert {".py", ".html", ".txt", ".mo", ".css", ".js", ".typed"} == suffixes


@pytest.mark.parametrize("command", ["twine check", "check-wheel-contents"])
def test_wheel_passes_checks_of_packaging(wheel: Path, command: str) -> None:
    program, *arguments = command.split()
    folder = Path(sys.executable).parent
    result = subprocess.run(
        [folder / program, *arguments, wheel], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


class Site:
    """A project created by ``startproject`` in its own environment, which the page changes."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder, self.wheel = folder / "site", wheel
        self.bin = folder / "env" / "bin"
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        self.folder.mkdir()
        self.shell("pip install django")
        self.shell("django-admin startproject mysite .")
        self.shell("python manage.py startapp people")
        (self.folder / "people" / "models.py").write_text(MODELS)
        self.append("mysite/settings.py", SETTINGS)
        self.shell("python manage.py makemigrations people")
        self.shell("python manage.py migrate")

    def shell(self, line: str) -> str:
        """Run a command line. pip installs this project's wheel instead of one from the index."""
        is_pip = line.startswith("pip install")
        if is_pip:
            line = re.sub(r"cookieproj(\[\w+\])?", rf"{self.wheel}\1", line)
        strict = {} if is_pip else {"PYTHONWARNINGS": "error::DeprecationWarning"}
        result = subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env={"PATH": f"{self.bin}:{os.defpath}", **strict},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{line}\n{result.stdout}{result.stderr}"
        return result.stdout

    def append(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # The page shows changes of settings.py, and the complete text of other files.
        is_change = name.endswith("settings.py")
        path.write_text(path.read_text() + text if is_change else text)

    def follow(self, section: str) -> None:
        for language, text in SECTIONS[section]:
            if language == "sh":
                for line in text.splitlines():
                    output = self.shell(line)
                    if line.endswith(" check"):
                        assert "no issues" in output
            else:
                name = FILE_NAME.match(text)
                assert name, text
                self.append(name[1], text)

    def python(self, code: str) -> str:
        path = self.folder / "script.py"
        path.write_text(
            "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'mysite.settings'\n"
            f"import django\ndjango.setup()\n{code}"
        )
        return self.shell("python script.py")

    def sign_in(self) -> str:
        return self.python(SIGN_IN).strip()

    def statuses(self, path: str, *keys: str) -> list[int]:
        return [int(line) for line in self.python(STATUSES.format(keys=keys, path=path)).split()]


@pytest.mark.matrix
@pytest.mark.long
def test_following_the_page_and_going_back_signs_out_nobody(tmp_path: Path, wheel: Path) -> None:
    site = Site(tmp_path, wheel)
    first = site.sign_in()
    site.follow("The engines")
    assert site.statuses("/admin/", first) == [200]
    site.follow("Your devices")
    second = site.sign_in()
    assert site.statuses("/devices/", first, second) == [200, 200]
    assert "My site" in site.python(DEVICES_PAGE.format(key=second))
    site.follow("Signing out everywhere")
    assert site.statuses("/devices/", first, second) == [200, 200]
    site.follow("Another engine")
    assert site.statuses("/devices/", first, second) == [200, 200]
    site.follow("Back to Django's")
    assert site.statuses("/admin/", first, second) == [200, 200]
