"""``manage.py checksessions``, and the same verdicts as system checks."""

import io
import json
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from pytest_django import Settings

from cookieproj.engines.compliance.report import STANDARDS, padded
from tests.sites import ROOT, manage, public

from .compliance_site import COMPLIANT


@pytest.fixture(autouse=True)
def compliant(settings: Settings) -> None:
    for name, value in COMPLIANT.items():
        setattr(settings, name, value)


def run(*arguments: str) -> tuple[str, str]:
    """Return the output of the command, and its error; "" if it exits with 0."""
    output, error = io.StringIO(), ""
    try:
        call_command("checksessions", *arguments, stdout=output)
    except CommandError as raised:
        error = str(raised)
    return output.getvalue(), error


def described(*arguments: str) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in json.loads(run("--json", *arguments)[0])}


def test_compliant_site_exits_with_0() -> None:
    output, error = run("--asvs", "2")
    assert error == ""
    assert "asvs.7.3.1  L2  met" in output


def test_what_is_not_met_exits_with_1_and_says_what_to_set(settings: Settings) -> None:
    settings.SESSION_IDLE_AGE = None
    output, error = run("--asvs", "2")
    (line,) = [line for line in output.splitlines() if line.startswith("asvs.7.3.1 ")]
    assert line.endswith("not met         Set SESSION_IDLE_AGE = 3600.")
    assert error == "2 requirements are not met."


def test_level_selects_requirements() -> None:
    assert set(described("--asvs", "1")) < set(described("--asvs", "2"))
    assert set(described("--asvs", "3")) - set(described("--asvs", "2")) == {
        "asvs.3.3.5",
        "asvs.7.5.3",
    }
    timeouts = {1: {"2.1.3"}, 2: {"2.2.3"}, 3: {"2.3.3"}}
    for aal, sections in timeouts.items():
        found = {
            each.removeprefix("nist.").partition("-")[0] for each in described(f"--nist={aal}")
        }
        assert {section for section in found if section.startswith("2.")} == sections


def test_chapter_has_nineteen_requirements() -> None:
    numbers = [each.id for each in STANDARDS["asvs"].requirements if each.id.startswith("asvs.7.")]
    assert len(numbers) == len(set(numbers)) == 19
    identifiers = [each.id for each in STANDARDS["nist"].requirements]
    assert len(identifiers) == len(set(identifiers))


def test_default_is_level_2_of_both() -> None:
    assert set(described()) == set(described("--asvs", "2")) | set(described("--nist", "2"))


def test_settings_choose_the_levels(settings: Settings) -> None:
    settings.SESSION_ASVS_LEVEL, settings.SESSION_NIST_AAL = 1, 3
    assert set(described()) == set(described("--asvs", "1")) | set(described("--nist", "3"))


def test_json_has_the_facts_of_the_table() -> None:
    table = run("--asvs", "3")[0]
    for identifier, facts in described("--asvs", "3").items():
        (line,) = [line for line in table.splitlines() if line.startswith(f"{identifier} ")]
        assert facts["level"] in line
        assert facts["verdict"] in line
        assert line.endswith(facts["finding"])
        assert facts["requirement"]
        assert facts["tests"]


def test_recommendations_do_not_fail_at_level_warning(settings: Settings) -> None:
    settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = False
    assert run("--nist", "2")[1] == "1 requirement is not met."
    assert run("--nist", "2", "--fail-level", "WARNING")[1] == ""
    settings.SESSION_COOKIE_SECURE = False
    assert run("--nist", "2", "--fail-level", "WARNING")[1] == "4 requirements are not met."


def test_silenced_requirement_does_not_fail(settings: Settings) -> None:
    settings.DEVICES_LIMIT = None
    assert run("--asvs", "2")[1] == "1 requirement is not met."
    settings.SILENCED_SYSTEM_CHECKS = ["asvs.7.1.2"]
    output, error = run("--asvs", "2")
    assert error == ""
    assert "asvs.7.1.2  L2  not met (silenced)  Set DEVICES_LIMIT = 10." in output
    assert described("--asvs", "2")["asvs.7.1.2"]["silenced"] is True


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--asvs", "4"], "argument --asvs: invalid choice: 4 (choose from 1, 2, 3)"),
        (["--nist", "x"], "argument --nist: invalid int value: 'x'"),
        (["--json", "--markdown"], "not allowed with argument"),
    ],
)
def test_wrong_argument_is_one_line(arguments: list[str], part: str) -> None:
    with pytest.raises(CommandError, match=r"^Error: ") as raised:
        call_command("checksessions", *arguments)
    assert part in str(raised.value)
    assert "\n" not in str(raised.value)


def test_missing_engine_is_one_line(settings: Settings) -> None:
    settings.SESSION_ENGINE = "nowhere"
    error = run()[1]
    assert error == "SESSION_ENGINE = 'nowhere' is no session engine: No module named 'nowhere'."


@pytest.mark.parametrize("text", ["met", "符合", "a符合。"])
def test_column_is_as_wide_in_chinese(text: str) -> None:
    """Terminals give a Chinese character two columns."""
    filled = padded(text, 8)
    assert len(filled.encode("gbk")) == 8
    assert filled.rstrip() == text


def messages(*tags: str) -> list[Any]:
    found = run_checks(tags=tags or None)
    return [each for each in found if str(each.id).startswith(("asvs.", "nist."))]


def test_checks_are_silent_unless_a_level_is_set(settings: Settings) -> None:
    settings.DEVICES_LIMIT = None
    assert messages() == messages("asvs", "nist") == []


def test_check_reports_what_is_not_met(settings: Settings) -> None:
    settings.SESSION_ASVS_LEVEL = 2
    assert messages() == []
    settings.DEVICES_LIMIT = None
    (message,) = messages("asvs")
    assert message.id == "asvs.7.1.2"
    assert message.hint == "Set DEVICES_LIMIT = 10."
    assert not message.is_silenced()
    assert messages("nist") == []
    assert messages() == [message]
    settings.SILENCED_SYSTEM_CHECKS = ["asvs.7.1.2"]
    assert message.is_silenced()


def test_recommendation_is_an_info_and_a_duty_a_warning(settings: Settings) -> None:
    settings.SESSION_NIST_AAL = 2
    assert [(each.id, each.level) for each in messages("nist")] == [("nist.5.1-persistent", 20)]
    settings.SESSION_ABSOLUTE_AGE = None
    levels = {each.id: each.level for each in messages("nist")}
    assert levels["nist.5.2-periodic"] == 30
    assert levels["nist.2.2.3-overall"] == 20


@pytest.mark.parametrize("level", [0, 4, "2", True])
def test_wrong_level_is_an_error(level: Any, settings: Settings) -> None:
    settings.SESSION_ASVS_LEVEL = level
    (message,) = messages("asvs")
    assert message.id == "asvs.E001"
    assert message.msg == f"SESSION_ASVS_LEVEL = {level!r} must be 1, 2 or 3, or None."
    assert run()[1] == message.msg


def test_missing_engine_is_left_to_another_check(settings: Settings) -> None:
    settings.SESSION_ASVS_LEVEL = 2
    settings.SESSION_ENGINE = "nowhere"
    assert messages() == []


def test_production_settings_meet_all_of_v7_that_applies() -> None:
    ran = manage("checksessions", "--asvs=3", "--json", **public())
    verdicts = {
        each["id"]: each["verdict"]
        for each in json.loads(ran.stdout)
        if each["id"].startswith("asvs.7.")
    }
    apply = {each: found for each, found in verdicts.items() if found != "does not apply"}
    assert set(verdicts) - set(apply) == {"asvs.7.1.3", "asvs.7.6.1", "asvs.7.6.2"}
    assert apply == dict.fromkeys(apply, "met")
    assert ran.returncode == 0


@pytest.mark.parametrize("variable", ["SESSION_IDLE_AGE", "SESSION_ABSOLUTE_AGE", "DEVICES_LIMIT"])
def test_variable_turns_a_setting_of_production_off(variable: str) -> None:
    ran = manage("checksessions", "--asvs=2", **public(), **{variable: "0"})
    assert ran.returncode == 1
    assert f"Set {variable} = " in ran.stdout


def test_document_is_the_output_of_the_command() -> None:
    ran = manage("checksessions", "--asvs=3", "--nist=2", "--markdown", **public())
    text = (ROOT / "docs" / "compliance.md").read_text()
    assert text.endswith(f"\n\n{ran.stdout}")
