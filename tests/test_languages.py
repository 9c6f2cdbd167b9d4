"""English and Simplified Chinese: every text is translated, and pages and commands say it."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from unittest import mock

import polib
import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils.translation import gettext_lazy, override
from pytest_django import Settings

from cookieproj.engines.cache import SessionStore as CacheStore
from cookieproj.engines.constants import ENGINE_NAMES
from cookieproj.engines.exceptions import StoreUnavailableError
from cookieproj.engines.handover.copy_marks import mark_copy
from cookieproj.engines.handover.server_to_cookie import name_of_store
from cookieproj.engines.handover_mixin import store_of
from demo.attacks import ATTEMPTS
from demo.models import User
from demo.recipes import RECIPES

from .browsers import browser, row_of
from .conftest import copied
from .sites import ROOT, manage

CATALOGUES = ["cookieproj/engines", "cookieproj/devices", "demo"]
CHINESE = re.compile("[\u4e00-\u9fff]")
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z]|\{\w+\}")
TAG = re.compile(r"</?\w+[^>]*>")

# A shorter text may stand in a page for something else: a name, a class.
LONG = 12

# In Chinese they have punctuation only.
WITHOUT_WORDS = {
    "%(browser)s on %(system)s",
    "{kind} {name} at {host}:{port}",
    "<b><code>%(engine)s</code>.</b> %(reason)s",
    ":",
    ":?.!",
}

IN_CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9"}
COMMANDS = ["benchsessions", "clearsessions", "demodata", "movesessions", "sessions", "signout"]


def path_of(app: str, kind: str = "po") -> Path:
    return ROOT / app / "locale" / "zh_Hans" / "LC_MESSAGES" / f"django.{kind}"


def messages(app: str) -> polib.POFile:
    return polib.pofile(str(path_of(app)))


def texts(message: polib.POEntry | polib.MOEntry) -> list[str]:
    """What it is translated to: one text, since Chinese has no plural."""
    return list(message.msgstr_plural.values()) or [message.msgstr]


def identities(file: polib.POFile) -> set[tuple[str | None, str, str]]:
    return {(each.msgctxt, each.msgid, each.msgid_plural) for each in file}


ENGLISH = {
    message.msgid
    for app in CATALOGUES
    for message in messages(app)
    if len(message.msgid) > LONG and not PLACEHOLDER.search(message.msgid)
}


def left_in_english(page: str) -> set[str]:
    """Texts of ours that stand there untranslated; the code of a view is as it is."""
    shown = re.sub(r"<pre class=\"code\".*?</pre>|<style>.*?</style>", "", page, flags=re.DOTALL)
    shown = shown.replace("&#x27;", "'").replace("&quot;", '"')
    return {text for text in ENGLISH if text in shown}


@pytest.fixture
def reader(settings: Settings, admin: User) -> Client:
    """The browser of somebody who prefers Chinese, may see all there is, and is signed in."""
    settings.DEBUG = True
    client = browser(admin)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = IN_CHINESE["Accept-Language"]
    return client


def test_the_catalogues_hold_what_the_project_says_now(tmp_path: Path) -> None:
    """By the command of CONTRIBUTING.md, on a copy of the project without its catalogues."""
    if not shutil.which("xgettext"):
        missing = "xgettext is missing: install gettext"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    shutil.copy(ROOT / "manage.py", tmp_path)
    for package in ("cookieproj", "demo"):
        shutil.copytree(ROOT / package, tmp_path / package)
    for app in CATALOGUES:
        (tmp_path / path_of(app).relative_to(ROOT)).unlink()
    command = re.search(
        "python manage.py (makemessages .*)", (ROOT / "CONTRIBUTING.md").read_text()
    )
    assert command
    subprocess.run(
        [sys.executable, "manage.py", *command[1].split()],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
    )
    for app in CATALOGUES:
        made = polib.pofile(str(tmp_path / path_of(app).relative_to(ROOT)))
        assert identities(messages(app)) == identities(made)


@pytest.mark.parametrize("app", CATALOGUES)
def test_every_message_is_translated(app: str) -> None:
    held = messages(app)
    assert held.metadata["Plural-Forms"] == "nplurals=1; plural=0;"
    assert held.percent_translated() == 100
    assert not held.fuzzy_entries()
    assert not held.obsolete_entries()
    untouched = {m.msgid for m in held for text in texts(m) if not CHINESE.search(text)}
    assert untouched <= WITHOUT_WORDS


@pytest.mark.parametrize("found", [PLACEHOLDER, TAG], ids=["placeholders", "tags"])
@pytest.mark.parametrize("app", CATALOGUES)
def test_what_is_filled_in_and_marked_up_agrees(app: str, found: re.Pattern[str]) -> None:
    def of(text: str) -> Counter[str]:
        return Counter(found.findall(text))

    assert [m.msgid for m in messages(app) for text in texts(m) if of(text) != of(m.msgid)] == []


@pytest.mark.parametrize("app", CATALOGUES)
def test_spaces_at_the_ends_agree(app: str) -> None:
    for message in messages(app):
        for text in texts(message):
            for end in (0, -1):
                assert message.msgid[end].isspace() == text[end].isspace(), message.msgid


@pytest.mark.parametrize("app", CATALOGUES)
def test_what_is_compiled_says_the_same(app: str) -> None:
    compiled = polib.mofile(str(path_of(app, "mo")))
    said, meant = (
        {(each.msgctxt, each.msgid): texts(each) for each in file}
        for file in (compiled, messages(app))
    )
    assert said == meant


def assert_is_chinese(page: str) -> None:
    assert '<html lang="zh-hans"' in page
    assert CHINESE.search(page)
    assert left_in_english(page) == set()


ASKED = "stores={}&holds={}&lasts={}"
PAGES = [
    "/",
    "/engines/",
    *(f"/engines/?{ASKED.format(*all_three)}" for all_three in [
        ("redis", "little", "again"),
        ("redis", "private", "stay"),
        ("database", "little", "stay"),
        ("disk", "private", "stay"),
        ("none", "little", "again"),
    ]),
    "/engines/?stores=none",
    "/session/",
    "/session/?whole",
    "/break/",
    *(f"/switch/?old={old}&new={new}" for old in ENGINE_NAMES for new in ENGINE_NAMES),
    "/devices/",
    "/auth/by-hand/",
    "/auth/sign-in/",
    "/auth/cookie-sign-in/",
    "/auth/account/",
    "/cookies/on-a-template/",
    "/expiry/every-setting/",
    "/lifecycle/side-by-side/",
    "/in-path/forged/kitchen/",
    "/admin/",
    "/admin/cookieproj_devices/",
    "/admin/cookieproj_engines/",
    "/admin/demo/",
    "/admin/demo/user/",
    "/admin/demo/user/add/",
    "/admin/cookieproj_devices/signedinsession/",
    "/admin/cookieproj_engines/storedsession/",
    "/admin/cookieproj_engines/storedsession/?start=gone",
]  # fmt: skip


@pytest.mark.parametrize("path", [*PAGES, *(recipe.page_url for recipe in RECIPES.values())])
def test_a_page_is_chinese(path: str, reader: Client) -> None:
    assert_is_chinese(reader.get(path, follow=True).content.decode())


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_is_chinese(name: str, reader: Client) -> None:
    assert_is_chinese(reader.post(reverse("demo:break-it", args=[name])).content.decode())


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_a_session_is_chinese_wherever_it_lives(
    name: str, reader: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.SESSION_ENGINE = f"cookieproj.engines.{name}"
    settings.SESSION_FILE_PATH = tmp_path
    fresh = Client(headers=IN_CHINESE)
    fresh.post("/sessions/set-item/")
    shown = fresh.get("/session/?whole")
    assert_is_chinese(shown.content.decode())
    assert "<h2" in shown.content.decode()
    assert_is_chinese(fresh.post("/session/?whole", {"text": "torn"}).content.decode())


def test_the_pages_of_one_session_are_chinese(reader: Client) -> None:
    row = row_of(reader)
    assert_is_chinese(
        reader.get(f"/admin/cookieproj_devices/signedinsession/{row.pk}/change/").content.decode()
    )
    assert_is_chinese(
        reader.get(f"/admin/cookieproj_devices/signedinsession/{row.pk}/delete/").content.decode()
    )
    listed = reader.get("/admin/cookieproj_engines/storedsession/")
    [stored] = listed.context["sessions"]
    for page in ("change", "delete"):
        path = reverse(f"admin:cookieproj_engines_storedsession_{page}", args=[stored.pk])
        assert_is_chinese(reader.get(path).content.decode())


def test_signing_out_is_said_in_chinese(reader: Client, ada: User) -> None:
    browser(ada)
    chosen = {"action": "sign_out", "_selected_action": [ada.pk]}
    page = reader.post("/admin/demo/user/", chosen, follow=True).content.decode()
    assert "1 个用户已在所有设备上退出登录" in page
    page = reader.post("/devices/sign-out-others/", follow=True).content.decode()
    assert "没有其他设备处于登录状态" in page
    assert_is_chinese(page)


def test_the_biscuits_are_chinese(reader: Client) -> None:
    page = reader.post("/in-path/begin/", follow=True).content.decode()
    assert "已经吃了 0 块饼干" in page
    assert_is_chinese(page)


def test_a_missing_page_is_chinese(db: None) -> None:
    response = Client(headers=IN_CHINESE).get("/nothing/")
    assert response.status_code == 404
    assert_is_chinese(response.content.decode())


def test_a_store_away_is_chinese_to_its_visitor_and_english_in_the_log(
    db: None, caplog: pytest.LogCaptureFixture
) -> None:
    away = StoreUnavailableError(store_of(CacheStore).label, "gone")
    with mock.patch("demo.views.render", side_effect=away):
        response = Client(headers=IN_CHINESE).get("/")
    assert response.status_code == 503
    assert_is_chinese(response.content.decode())
    [line] = [record.getMessage() for record in caplog.records]
    assert line == "/: The session store is unavailable: memory of this process. gone."
    with override("zh-hans"):
        assert str(away).startswith("会话存储不可用")


def test_a_sentence_in_chinese_ends_with_its_own_full_stop() -> None:
    reason = gettext_lazy("What was stored could not be read back.")
    with override("zh-hans"):
        text = str(StoreUnavailableError("Redis", reason))
    assert text.endswith("。")


@pytest.mark.parametrize("status", ["400", "403", "403_csrf", "404", "500", "503"])
def test_an_error_is_chinese(status: str) -> None:
    with override("zh-hans"):
        assert_is_chinese(render_to_string(f"{status}.html"))


def test_a_wrong_value_is_answered_in_the_language_of_the_browser(client: Client) -> None:
    path = "/cookies/set-cookie/?name=a%20b"
    english, chinese = client.get(path), client.get(path, headers=IN_CHINESE)
    assert (english.status_code, chinese.status_code) == (400, 400)
    assert english.content.decode().startswith(
        "name: A cookie's name may only contain ASCII letters"
    )
    assert chinese.content.decode().startswith("name: Cookie 名称只能包含 ASCII 字母")
    refused = client.put("/sessions/set-item/", headers=IN_CHINESE)
    assert "此示例只接受 POST" in refused.content.decode()


def test_what_is_signed_and_compared_speaks_no_language() -> None:
    """A cookie or a copy that was made for a visitor is known again for another."""
    made = []
    for language in ("en", "zh-hans"):
        with override(language):
            store = store_of(CacheStore)
            made.append((name_of_store(store), mark_copy({"color": "blue"}, store)))
    assert made[0] == made[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command(command: str) -> None:
    english = manage("help", command)
    assert not CHINESE.search(english.stdout)
    chinese = manage("help", command, LANGUAGE_CODE="zh-hans")
    assert (chinese.returncode, chinese.stderr) == (0, "")
    assert CHINESE.search(chinese.stdout)
    assert left_in_english(" ".join(chinese.stdout.split())) == set()


def test_commands_speak_the_language_of_the_environment(
    tmp_path: Path, demo_database: Path
) -> None:
    variables = {
        "DATABASE_URL": copied(demo_database, tmp_path),
        "SESSION_FILE_PATH": str(tmp_path),
    }
    chinese = {**variables, "LANGUAGE_CODE": "zh-hans"}
    assert "演示账号 ada" in manage("demodata", **chinese).stdout
    moved = manage("movesessions", "--from", "db", "--to", "file", "--dry-run", **chinese)
    assert moved.stdout.startswith("从 db 到 file")
    assert manage("signout", "ada", **chinese).stdout.startswith("ada 已在所有设备上退出登录")
    assert manage("clearsessions", **chinese).stdout.startswith("已清理 1 个过期会话")
    assert manage("clearsessions", **variables).stdout == "There are no expired sessions.\n"
    nobody = manage("signout", "nobody", **chinese)
    assert nobody.stderr.startswith("CommandError: 没有用户 'nobody'")
    wrong = manage("clearsessions", "--batch-size", "0", **chinese)
    assert "不是有效的会话数" in wrong.stderr


def test_system_checks_speak_it_too() -> None:
    said = manage("check", SESSION_PROFILE="cache", LANGUAGE_CODE="zh-hans").stderr
    assert "会话缓存在当前进程的内存中" in said
    assert left_in_english(said) == set()
    assert not CHINESE.search(manage("check", SESSION_PROFILE="cache").stderr)
