"""English and Simplified Chinese: every text is translated, in pages and commands."""

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
from demo.recipes.recipe import Recipe

from .browsers import browser, row_of
from .conftest import copied
from .devices.bound_device import Device
from .sites import ROOT, manage

CATALOGUES = ["cookieproj/engines", "cookieproj/devices", "demo"]
CHINESE = re.compile("[\u4e00-\u9fff]")
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z]|\{\w+\}")
TAG = re.compile(r"</?\w+[^>]*>")

# A shorter text may also be something else in a page: a name, or a class.
MIN_LENGTH = 12

# Messages whose translation has no Chinese characters, only punctuation.
WITHOUT_WORDS = {
    "%(names)s: %(text)s",
    "%(name)s (%(attributes)s)",
    "%(one)s, %(other)s",
    "%(sentence)s %(next)s",
    "%(browser)s on %(system)s",
    "%(one)s %(other)s",
    "%(one)s; %(other)s",
    "{kind} {name} at {host}:{port}",
    "<b><code>%(engine)s</code>.</b> %(reason)s",
    ":",
    ":?.!",
    "The Cookie Store API",
}

IN_CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9"}
COMMANDS = [
    *("benchsessions", "checksessions", "clearsessions", "demodata", "movesessions", "sessions"),
    "signout",
]


def path_of(app: str, kind: str = "po") -> Path:
    return ROOT / app / "locale" / "zh_Hans" / "LC_MESSAGES" / f"django.{kind}"


def messages(app: str) -> polib.POFile:
    return polib.pofile(str(path_of(app)))


def texts(message: polib.POEntry | polib.MOEntry) -> list[str]:
    """The translation: one text, since Chinese has no plural."""
    return list(message.msgstr_plural.values()) or [message.msgstr]


def identities(file: polib.POFile) -> set[tuple[str | None, str, str]]:
    return {(each.msgctxt, each.msgid, each.msgid_plural) for each in file}


ENGLISH = {
    message.msgid
    for app in CATALOGUES
    for message in messages(app)
    if len(message.msgid) > MIN_LENGTH and not PLACEHOLDER.search(message.msgid)
}


def untranslated_in(page: str) -> set[str]:
    """Our English texts in the page, except in the code of a view."""
    shown = re.sub(r"<pre class=\"code\".*?</pre>|<style>.*?</style>", "", page, flags=re.DOTALL)
    shown = shown.replace("&#x27;", "'").replace("&quot;", '"')
    return {text for text in ENGLISH if text in shown}


@pytest.fixture
def reader(settings: Settings, admin: User) -> Client:
    """The browser of a signed-in superuser who prefers Chinese."""
    settings.DEBUG = True
    client = browser(admin)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = IN_CHINESE["Accept-Language"]
    return client


def test_catalogues_contain_the_present_texts(tmp_path: Path) -> None:
    """Runs the command in CONTRIBUTING.md on a copy of the project without its catalogues."""
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
        generated = polib.pofile(str(tmp_path / path_of(app).relative_to(ROOT)))
        assert identities(messages(app)) == identities(generated)


@pytest.mark.parametrize("app", CATALOGUES)
def test_every_message_is_translated(app: str) -> None:
    catalogue = messages(app)
    assert catalogue.metadata["Plural-Forms"] == "nplurals=1; plural=0;"
    assert catalogue.percent_translated() == 100
    assert not catalogue.fuzzy_entries()
    assert not catalogue.obsolete_entries()
    without_words = {m.msgid for m in catalogue for text in texts(m) if not CHINESE.search(text)}
    assert without_words <= WITHOUT_WORDS


@pytest.mark.parametrize("pattern", [PLACEHOLDER, TAG], ids=["placeholders", "tags"])
@pytest.mark.parametrize("app", CATALOGUES)
def test_translations_have_the_same_placeholders_and_tags(
    app: str, pattern: re.Pattern[str]
) -> None:
    def count(text: str) -> Counter[str]:
        return Counter(pattern.findall(text))

    assert [
        m.msgid for m in messages(app) for text in texts(m) if count(text) != count(m.msgid)
    ] == []


@pytest.mark.parametrize("app", CATALOGUES)
def test_translations_have_the_same_spaces_at_their_ends(app: str) -> None:
    for message in messages(app):
        for text in texts(message):
            for end in (0, -1):
                assert message.msgid[end].isspace() == text[end].isspace(), message.msgid


@pytest.mark.parametrize("app", CATALOGUES)
def test_compiled_catalogues_are_up_to_date(app: str) -> None:
    compiled = polib.mofile(str(path_of(app, "mo")))
    compiled_texts, source_texts = (
        {(each.msgctxt, each.msgid): texts(each) for each in file}
        for file in (compiled, messages(app))
    )
    assert compiled_texts == source_texts


def assert_is_chinese(page: str) -> None:
    assert '<html lang="zh-hans"' in page
    assert CHINESE.search(page)
    assert untranslated_in(page) == set()


ANSWERS = "stores={}&holds={}&lasts={}"
PAGES = [
    "/",
    "/engines/",
    *(f"/engines/?{ANSWERS.format(*answers)}" for answers in [
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
    "/bound/",
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
def test_page_is_chinese(path: str, reader: Client) -> None:
    assert_is_chinese(reader.get(path, follow=True).content.decode())


def test_store_that_failed_for_an_english_visitor_is_told_in_chinese(reader: Client) -> None:
    reader.get("/engines/", headers={"Accept-Language": "en"})
    assert_is_chinese(reader.get("/engines/").content.decode())


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_text_of_recipe_is_chinese(recipe: Recipe, reader: Client) -> None:
    for method in recipe.methods:
        response = reader.generic(method, recipe.url)
        if method != "HEAD" and response.headers["Content-Type"].startswith("text/plain"):
            text = b"".join(response).decode()
            assert CHINESE.search(text)
            assert untranslated_in(text) == set()


@pytest.mark.parametrize("name", ATTEMPTS)
def test_attack_page_is_chinese(name: str, reader: Client) -> None:
    assert_is_chinese(reader.post(reverse("demo:break-it", args=[name])).content.decode())


def test_page_of_a_bound_session_is_chinese(settings: Settings, ada: User) -> None:
    settings.DEBUG, settings.DEVICES_BOUND = True, "offer"
    device = Device().bind(ada)
    device.forget_bound_cookie().renew("")
    device.renew("no token")
    device.forget_bound_cookie().get(secure_session_skipped="unreachable")
    device.renew()
    language = IN_CHINESE["Accept-Language"]
    assert_is_chinese(device.post("/bound/steal/", accept_language=language).content.decode())
    device.get("/bound/proof/")
    device.renew()
    assert_is_chinese(device.get("/bound/proof/", accept_language=language).content.decode())


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_session_page_is_chinese_on_each_engine(
    name: str, reader: Client, settings: Settings, empty_stores: None
) -> None:
    settings.SESSION_ENGINE = f"cookieproj.engines.{name}"
    client = Client(headers=IN_CHINESE)
    client.post("/sessions/set-item/")
    page = client.get("/session/?whole")
    assert_is_chinese(page.content.decode())
    assert "<h2" in page.content.decode()
    assert_is_chinese(client.post("/session/?whole", {"text": "torn"}).content.decode())


def test_admin_pages_of_a_session_are_chinese(reader: Client) -> None:
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


def test_messages_of_signing_out_are_chinese(reader: Client, ada: User) -> None:
    browser(ada)
    chosen = {"action": "sign_out", "_selected_action": [ada.pk]}
    page = reader.post("/admin/demo/user/", chosen, follow=True).content.decode()
    assert "1 个用户已在所有设备上退出登录" in page
    page = reader.post("/devices/sign-out-others/", follow=True).content.decode()
    assert "没有其他设备处于登录状态" in page
    assert_is_chinese(page)


def test_session_in_path_is_chinese(reader: Client) -> None:
    page = reader.post("/in-path/begin/", follow=True).content.decode()
    assert "已经吃了 0 块饼干" in page
    assert_is_chinese(page)


def test_404_page_is_chinese(db: None) -> None:
    response = Client(headers=IN_CHINESE).get("/nothing/")
    assert response.status_code == 404
    assert_is_chinese(response.content.decode())


def test_unreachable_store_is_chinese_in_the_page_and_english_in_the_log(
    db: None, caplog: pytest.LogCaptureFixture
) -> None:
    error = StoreUnavailableError(store_of(CacheStore).label, "gone")
    with mock.patch("demo.views.render", side_effect=error):
        response = Client(headers=IN_CHINESE).get("/")
    assert response.status_code == 503
    assert_is_chinese(response.content.decode())
    [line] = [record.getMessage() for record in caplog.records]
    assert line == (
        "/: The session store is unavailable: memory of this process. gone. "
        "Check that it is running, and that its address in the settings is right."
    )
    with override("zh-hans"):
        assert str(error).startswith("会话存储不可用")


def test_chinese_error_ends_with_a_chinese_full_stop() -> None:
    reason = gettext_lazy("What was stored could not be read back.")
    with override("zh-hans"):
        text = str(StoreUnavailableError("Redis", reason))
    assert text.endswith("。")


@pytest.mark.parametrize("status", ["400", "403", "403_csrf", "404", "500", "503"])
def test_error_page_is_chinese(status: str) -> None:
    with override("zh-hans"):
        assert_is_chinese(render_to_string(f"{status}.html"))


def test_validation_error_is_in_the_language_of_the_browser(client: Client) -> None:
    path = "/cookies/set-cookie/?name=a%20b"
    english, chinese = client.get(path), client.get(path, headers=IN_CHINESE)
    assert (english.status_code, chinese.status_code) == (400, 400)
    assert english.content.decode().startswith(
        "name: A cookie's name may only contain ASCII letters"
    )
    assert chinese.content.decode().startswith("name: Cookie 名称只能包含 ASCII 字母")
    refused = client.put("/sessions/set-item/", headers=IN_CHINESE)
    assert "此示例只接受 POST" in refused.content.decode()


def test_stored_names_do_not_depend_on_the_language() -> None:
    """Cookies and copies of a handover are recognized in requests with another language."""
    marks = []
    for language in ("en", "zh-hans"):
        with override(language):
            store = store_of(CacheStore)
            marks.append((name_of_store(store), mark_copy({"color": "blue"}, store)))
    assert marks[0] == marks[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_command_is_translated(command: str) -> None:
    english = manage("help", command)
    assert not CHINESE.search(english.stdout)
    chinese = manage("help", command, LANGUAGE_CODE="zh-hans")
    assert (chinese.returncode, chinese.stderr) == (0, "")
    assert CHINESE.search(chinese.stdout)
    assert untranslated_in(" ".join(chinese.stdout.split())) == set()


def test_commands_use_the_language_of_the_environment(tmp_path: Path, demo_database: Path) -> None:
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


def test_system_checks_use_the_language_of_the_environment() -> None:
    warnings = manage("check", SESSION_PROFILE="cache", LANGUAGE_CODE="zh-hans").stderr
    assert "会话缓存在当前进程的内存中" in warnings
    assert untranslated_in(warnings) == set()
    assert not CHINESE.search(manage("check", SESSION_PROFILE="cache").stderr)
