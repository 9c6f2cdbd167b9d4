"""The wheel, and ``docs/own-site.md`` followed word by word in an empty environment."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .sites import ROOT

PAGE = (ROOT / "docs" / "own-site.md").read_text()

# Each of the page's sections with its blocks of code: a language, and what stands in it.
SECTIONS = {
    part.partition("\n")[0]: re.findall(r"```(\w+)\n(.*?)```", part, re.DOTALL)
    for part in PAGE.split("\n## ")[1:]
}

NAMES_ITS_FILE = re.compile(r"(?:# |<!-- )([\w/.]+\.\w+)")

# A site as it may have stood for years: users by UUID, sessions on Django's engine of rows.
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

user, _made = get_user_model().objects.get_or_create(
    username="ada", is_staff=True, is_superuser=True
)
client = Client()
client.force_login(user)
print(client.cookies["sessionid"].value)
"""

LOOK = """
from django.test import Client

for key in {keys!r}:
    client = Client(HTTP_HOST="localhost")
    client.cookies["sessionid"] = key
    print(client.get({path!r}).status_code)
"""


SHOW = """
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
    [found] = folder.glob("*.whl")
    return found


def test_it_holds_the_two_apps_and_nothing_else(wheel: Path) -> None:
    named = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(
        ["git", "ls-files", "cookieproj/engines", "cookieproj/devices"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    ours = {name for name in tracked if not name.endswith(".po")}
    assert named == ours | {"cookieproj/__init__.py", "cookieproj/py.typed"}
    kinds = {Path(name).suffix for name in named}
    assert {".py", ".html", ".mo", ".css", ".typed"} == kinds


@pytest.mark.parametrize("command", ["twine check", "check-wheel-contents"])
def test_it_is_well_made(wheel: Path, command: str) -> None:
    program, *arguments = command.split()
    folder = Path(sys.executable).parent
    result = subprocess.run(
        [folder / program, *arguments, wheel], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


class Site:
    """A project of ``startproject`` in an environment of its own, which the page changes."""

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
        """With this project's wheel in the place of the one that an index would have."""
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
        # What a page shows of settings.py is changed there, of other files it is all.
        is_changed = name.endswith("settings.py")
        path.write_text(path.read_text() + text if is_changed else text)

    def follow(self, section: str) -> None:
        for language, text in SECTIONS[section]:
            if language == "sh":
                for line in text.splitlines():
                    said = self.shell(line)
                    if line.endswith(" check"):
                        assert "no issues" in said
            else:
                name = NAMES_ITS_FILE.match(text)
                assert name, text
                self.append(name[1], text)

    def python(self, code: str) -> str:
        path = self.folder / "asked.py"
        path.write_text(
            "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'mysite.settings'\n"
            f"import django\ndjango.setup()\n{code}"
        )
        return self.shell("python asked.py")

    def sign_in(self) -> str:
        return self.python(SIGN_IN).strip()

    def look(self, path: str, *keys: str) -> list[int]:
        return [int(line) for line in self.python(LOOK.format(keys=keys, path=path)).split()]


@pytest.mark.matrix
@pytest.mark.long
def test_a_site_moves_in_and_out_again_and_nobody_is_signed_out(
    tmp_path: Path, wheel: Path
) -> None:
    site = Site(tmp_path, wheel)
    before = site.sign_in()
    site.follow("The engines")
    assert site.look("/admin/", before) == [200]
    site.follow("Your devices")
    since = site.sign_in()
    assert site.look("/devices/", before, since) == [200, 200]
    assert "My site" in site.python(SHOW.format(key=since))
    site.follow("Signing out everywhere")
    assert site.look("/devices/", before, since) == [200, 200]
    site.follow("Another engine")
    assert site.look("/devices/", before, since) == [200, 200]
    site.follow("Back to Django's")
    assert site.look("/admin/", before, since) == [200, 200]
