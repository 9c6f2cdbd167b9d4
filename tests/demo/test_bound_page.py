"""The page about bound sessions: each state, the handshake that it shows, and the thefts."""

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.conf import settings as site
from django.core.cache import cache
from django.test import AsyncClient, Client
from pytest_django import Settings

from cookieproj.devices.bound import headers
from cookieproj.devices.bound.admission import GRACE
from cookieproj.devices.bound.bound_cookie import LEEWAY
from demo.handshake import MAX_EXCHANGES
from demo.models import User
from tests.browser.bound import spki_digest
from tests.browsers import browser
from tests.conftest import on
from tests.devices.bound_device import Device
from tests.sites import ROOT

from .test_attack_pages import stored_counts

AGE = 300

# The first words of what the page shows.
OPENS, STRANGER, CLOSED = "The page opens.", "To the site the thief is a stranger", "The page stays"
STEPS = {
    "offer": "The site offers a binding",
    "registration": "The browser registers a key",
    "challenge": "The site sends a challenge",
    "renewal": "The browser renews the bound cookie",
    "demand": "A page asks for a proof",
    "skipped": "The browser could not renew the cookie",
    "refusal": "The site refuses a proof",
    "end": "The site ends an earlier binding",
}


@pytest.fixture(autouse=True)
def bound(settings: Settings, profile: str) -> Iterator[None]:
    settings.DEBUG = True
    settings.DEVICES_BOUND = "offer"
    settings.DEVICES_BOUND_AGE = AGE
    settings.ALLOWED_HOSTS = ["*"]
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        yield clock


@pytest.fixture
def device(clock: Any, ada: User) -> Device:
    device = Device().bind(ada)
    clock.shift(GRACE + 1)
    return device


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def steps_in(page: str) -> list[str]:
    names = {title: name for name, title in STEPS.items()}
    titles = re.findall(r"<li class=\"card\">\s*<h3>(.*?)</h3>", page)
    return [names[title] for title in titles if title in names]


def outcomes(page: str) -> list[tuple[str, str]]:
    """What the thief has sent, and the mark and answer of each row of the table."""
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td></tr>", page)
    return [(sent, re.sub("<[^>]*>", "", answer)) for sent, answer in rows]


def test_site_that_binds_nothing(settings: Settings, ada: User) -> None:
    settings.DEVICES_BOUND = None
    page = text_of(Device().sign_in(ada).get("/bound/"))
    assert "DEVICES_BOUND is not set" in page
    assert "--certfile certificate.pem" in page
    assert "Nothing yet." in page


def test_site_that_lacks_something_says_what(settings: Settings, ada: User) -> None:
    settings.SESSION_COOKIE_DOMAIN = "testserver"
    assert "Unset one of the two." in text_of(Device().get("/bound/"))


def test_over_http(ada: User) -> None:
    page = text_of(browser(ada).get("/bound/"))
    assert "http. Browsers bind sessions over https alone." in page
    assert "--certfile certificate.pem" in page


@on("db")
def test_commands_on_the_page_work(tmp_path: Path) -> None:
    """They make a certificate, start a server with it, and compute the digest of its key."""
    page = text_of(Client().get("/bound/"))
    serve, browse = re.findall(
        r'<pre tabindex="0" aria-label="Commands">(.*?)</pre>', page, re.DOTALL
    )
    script = "\n".join(
        [
            serve.replace(".venv/bin/gunicorn", f"{sys.executable} -m gunicorn --check-config"),
            browse.replace("chromium", "echo"),
        ]
    )
    ran = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    digest = spki_digest(tmp_path / "certificate.pem")
    assert f"--ignore-certificate-errors-spki-list={digest} --enable-features=" in ran.stdout


def test_visitor(db: None) -> None:
    device = Device()
    page = text_of(device.get("/bound/"))
    assert 'DEVICES_BOUND = "offer"' in page
    assert "https, as bindings need." in page
    assert "--certfile" not in page
    assert "chromium --user-data-dir" in page
    assert "/auth/sign-in/?next=/bound/" in page
    page = text_of(device.post("/bound/steal/"))
    assert "There is no cookie of a signed-in user to steal." in page
    assert outcomes(page) == []
    assert site.SESSION_COOKIE_NAME not in device.client.cookies


def test_offered_session(clock: Any, ada: User) -> None:
    page = text_of(Device().sign_in(ada).get("/bound/"))
    assert "not bound: the binding was offered now" in page
    assert steps_in(page) == ["offer"]
    assert "chromium --user-data-dir" in page


def test_bound_session(device: Device, clock: Any) -> None:
    clock.shift(60)
    page = text_of(device.get("/bound/"))
    assert "bound with a key for ES256, registered a minute ago" in page
    assert f"in {AGE - GRACE - 1 - 60} seconds" in page
    assert steps_in(page) == ["offer", "registration"]
    assert "chromium" not in page


def test_steps_have_the_headers_and_the_decoded_proof(device: Device) -> None:
    page = text_of(device.get("/bound/"))
    offer, registration = page.split(STEPS["registration"])
    assert f'{headers.REGISTRATION}: (ES256 RS256);path="/devices/bound/register/"' in offer
    assert device.registration["challenge"] in offer
    assert "POST /devices/bound/register/" in registration
    assert '"typ": "dbsc+jwt"' in registration
    assert device.jwk["x"] in registration
    assert f'"jti": "{device.registration["challenge"]}"' in registration
    assert f'{headers.CHALLENGE}: "{device.challenge}"' in registration
    assert '"refresh_url": "/devices/bound/renew/"' in registration
    assert "Set-Cookie: __Host-bound_session=" in registration


def test_cookies_and_signatures_are_shortened(device: Device) -> None:
    device.forget_bound_cookie()
    proof = device.proof(device.challenge)
    device.renew(proof)
    page = text_of(device.get("/bound/"))
    for secret in (
        device.client.cookies["__Host-bound_session"].value,
        device.client.cookies[site.SESSION_COOKIE_NAME].value,
        proof.rpartition(".")[2],
    ):
        assert secret[:8] in page
        assert secret[:12] not in page


def test_every_kind_of_step(device: Device, clock: Any) -> None:
    device.forget_bound_cookie().renew("")
    device.renew()
    device.get("/bound/proof/")
    device.renew()
    assert "Let in: the device has proved its key" in text_of(device.get("/bound/proof/"))
    device.forget_bound_cookie().get(secure_session_skipped="unreachable")
    device.renew("no token")
    device.told["session_identifier"], own = "another", device.told["session_identifier"]
    device.renew()
    device.told["session_identifier"] = own
    device.renew()
    page = text_of(device.get("/bound/"))
    assert steps_in(page) == [
        *("offer", "registration", "challenge", "renewal", "demand", "renewal"),
        *("skipped", "refusal", "end", "renewal"),
    ]
    assert '"continue": false' in page
    assert "Secure-Session-Skipped: unreachable" in page


@pytest.mark.parametrize("token", ["a.b.c", "\xff.[.", ".".join(["W" * 4000] * 3), "." * 5000])
def test_proof_that_cannot_be_decoded_is_shown_shortened(token: str, device: Device) -> None:
    device.forget_bound_cookie().renew(token)
    device.renew()
    page = text_of(device.get("/bound/"))
    assert steps_in(page)[-2:] == ["refusal", "renewal"]
    assert len(page) < 60_000


def test_long_headers_are_shown_shortened(device: Device) -> None:
    own, device.told["session_identifier"] = device.told["session_identifier"], "x" * 5000
    device.renew()
    device.told["session_identifier"] = own
    page = text_of(device.get("/bound/"))
    assert steps_in(page)[-1] == "end"
    assert "x" * 900 in page
    assert "x" * 1000 not in page


def test_number_of_steps_is_bounded(device: Device) -> None:
    for _number in range(MAX_EXCHANGES):
        device.renew("")
    device.renew()
    page = text_of(device.get("/bound/"))
    assert steps_in(page) == [*["challenge"] * (MAX_EXCHANGES - 1), "renewal"]


def test_nobody_else_sees_the_steps(device: Device, ada: User) -> None:
    """Neither another session of the user, nor a visitor, nor a thief of the session cookie."""
    other = Device().bind(ada)
    challenges = {device.registration["challenge"], device.challenge}
    assert all(text in text_of(device.get("/bound/")) for text in challenges)
    for sender in (other, Device(), device.thief_of_session()):
        page = text_of(sender.get("/bound/"))
        assert not any(text in page for text in challenges)


@on("db", "signed_cookies")
def test_without_debug_nothing_is_remembered(settings: Settings, ada: User) -> None:
    settings.DEBUG = False
    device = Device().bind(ada)
    page = text_of(device.get("/bound/"))
    assert "Shown only while DEBUG is on." in page
    assert steps_in(page) == []
    settings.DEBUG = True
    assert steps_in(text_of(device.get("/bound/"))) == []


def test_thefts_of_a_bound_session(device: Device, clock: Any) -> None:
    page = text_of(device.post("/bound/steal/"))
    marks = [(answer[0], answer.partition(":")[2].strip()) for _sent, answer in outcomes(page)]
    assert [mark for mark, _answer in marks] == ["✓", "✗", "✓", "✓", "✗"]
    answers = [answer for _mark, answer in marks]
    alone, both, later, asked, unbound = answers
    assert STRANGER in alone
    assert alone.endswith("302 Found")
    assert OPENS in both
    assert both.endswith("200 OK")
    assert STRANGER in later
    assert CLOSED in asked
    assert asked.endswith("307 Temporary Redirect → 403 Forbidden")
    assert OPENS in unbound
    assert f"open the account for {AGE + LEEWAY - GRACE - 1} seconds from now" in page


def test_thefts_say_what_a_thief_gets(device: Device, clock: Any) -> None:
    """The rows agree with a client that has the same copies, now and later."""
    page = text_of(device.post("/bound/steal/"))
    opened = [OPENS in answer for _sent, answer in outcomes(page)]
    assert device.thief_of_session().is_in is opened[0] is False
    thief = device.thief()
    assert thief.is_in is opened[1] is True
    assert thief.get("/bound/proof/").status_code == 307
    thief = device.thief()
    clock.shift(AGE + LEEWAY)
    assert thief.is_in is opened[2] is False


def test_thefts_leave_no_data(device: Device, profile: str, tmp_path: Path) -> None:
    before = stored_counts(tmp_path)
    device.post("/bound/steal/")
    # cached_db keeps a tombstone of a deleted copy for a while.
    kept = 1 if profile == "cached_db" else 0
    assert stored_counts(tmp_path)[: len(before) - kept] == before[: len(before) - kept]


def test_thefts_leave_the_session_and_its_handshake_alone(device: Device) -> None:
    before = steps_in(text_of(device.get("/bound/")))
    device.post("/bound/steal/")
    assert device.has_bound_cookie
    assert device.is_in
    assert steps_in(text_of(device.get("/bound/"))) == before


@pytest.mark.django_db(transaction=True)
def test_thefts_under_asgi(device: Device) -> None:
    client = AsyncClient()
    client.cookies = device.client.cookies
    post: Any = async_to_sync(client.post)
    page = text_of(post("/bound/steal/", secure=True))
    assert [answer[0] for _sent, answer in outcomes(page)] == ["✓", "✗", "✓", "✓", "✗"]


def test_thefts_do_not_count_as_use_of_a_copied_key(
    device: Device, clock: Any, settings: Settings
) -> None:
    """The session gets a new key in between, and ends if the previous one is used again."""
    settings.SESSION_RENEW_AGE, settings.SESSION_END_COPIED = 60, True
    for _number in range(3):
        clock.shift(61)
        device.post("/bound/steal/")
        assert device.is_in


def test_theft_within_the_grace_says_so(clock: Any, ada: User) -> None:
    page = text_of(Device().bind(ada).post("/bound/steal/"))
    assert OPENS in outcomes(page)[0][1]
    assert f"In the first {GRACE} seconds" in page


@pytest.mark.parametrize("setting", ["offer", None])
def test_theft_of_a_session_that_is_not_bound(
    setting: str | None, settings: Settings, ada: User
) -> None:
    settings.DEVICES_BOUND = setting
    page = text_of(Device().sign_in(ada).post("/bound/steal/"))
    [(_sent, answer)] = outcomes(page)
    assert OPENS in answer
    assert "This session is not bound." in page


def test_no_browser_without_a_binding_opens_where_all_are_required(
    settings: Settings, device: Device
) -> None:
    settings.DEVICES_BOUND = "require"
    assert len(outcomes(text_of(device.post("/bound/steal/")))) == 4


def test_theft_needs_a_csrf_token_and_a_post(device: Device) -> None:
    response = device.get("/bound/steal/")
    assert response.headers["Location"] == "/bound/#steal"
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = device.client.cookies
    assert strict.post("/bound/steal/", secure=True).status_code == 403


def test_language_of_the_page_stays(device: Device) -> None:
    page = text_of(device.post("/bound/steal/", accept_language="zh-CN"))
    assert '<html lang="zh-hans"' in page


def test_session_that_is_not_bound_is_let_in(ada: User) -> None:
    assert "Let in without a proof" in text_of(Device().sign_in(ada).get("/bound/proof/"))
    assert "Let in" not in text_of(Device().get("/bound/"))
