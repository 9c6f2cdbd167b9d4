"""Attacks on bound sessions: proofs of others, of before, and of no key at all."""

import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.conf import settings as site
from django.db import connection
from pytest_django import Settings

from cookieproj.devices.bound import headers
from cookieproj.devices.bound.admission import GRACE
from cookieproj.devices.bound.challenges import CHALLENGE_AGE
from cookieproj.engines.constants import DJANGO_ENGINE_NAMES, DJANGO_ENGINES
from demo.models import User
from tests.conftest import on
from tests.devices.bound_device import Device, new_key
from tests.families import SERVER_ENGINES

from .conftest import Report

AGE = 300

# Views with ``proof_now``, of ``tests.devices.test_proof_now``.
PROOF_NOW_PATHS = ("/pay/", "/pay-async/", "/close/", "/close-async/")


@pytest.fixture(autouse=True)
def bound(settings: Settings, profile: str) -> None:
    settings.DEVICES_BOUND = "offer"
    settings.DEVICES_BOUND_AGE = AGE
    settings.ALLOWED_HOSTS = ["*"]


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(1_800_000_000) as clock:
        yield clock


@pytest.fixture
def device(clock: Any, ada: User) -> Device:
    """A device with a bound session, whose bound cookie has expired."""
    device = Device().bind(ada)
    clock.shift(AGE)
    return device.forget_bound_cookie()


def test_copied_session_cookie_opens_nothing(device: Device, report: Report) -> None:
    thief = device.thief_of_session()
    report("A copied session cookie of a bound session", [thief], [thief] if thief.is_in else [])


@on(*DJANGO_ENGINE_NAMES)
def test_copied_session_cookie_opens_djangos_session(
    ada: User, profile: str, settings: Settings, report: Report
) -> None:
    settings.SESSION_ENGINE = f"{DJANGO_ENGINES}{profile}"
    settings.MIDDLEWARE = [
        path.replace("cookieproj.engines.middleware", "django.contrib.sessions.middleware")
        for path in settings.MIDDLEWARE
        if "bound" not in path
    ]
    thief = Device().sign_in(ada).thief_of_session()
    opened = [thief] if thief.is_in else []
    report("A copied session cookie of a bound session", [thief], opened, "Django's")


def test_proof_counts_once(device: Device, report: Report) -> None:
    proof = device.proof(device.challenge)
    thief = device.thief()
    assert device.renew(proof).status_code == 200
    report("A replayed proof of a device's key", [proof], renewed(thief, proof))
    assert device.is_in


def renewed(device: Device, *proofs: str) -> list[str]:
    """The proofs that renew the bound cookie."""
    return [proof for proof in proofs if device.renew(proof).status_code == 200]


@on(*SERVER_ENGINES)
def test_proof_of_an_earlier_challenge_is_refused(device: Device) -> None:
    earlier = device.proof(device.challenge)
    device.renew("")
    assert device.renew().status_code == 200
    thief = device.thief_of_session()
    assert thief.renew(earlier).status_code == 403


def test_challenge_is_sent_to_whoever_has_none(device: Device) -> None:
    response = device.renew("")
    assert response.status_code == 403
    assert headers.CHALLENGE in response.headers
    assert device.renew().status_code == 200


def test_challenge_grows_old(device: Device, clock: Any) -> None:
    clock.shift(CHALLENGE_AGE + 1)
    response = device.renew()
    assert response.status_code == 403
    assert headers.CHALLENGE in response.headers
    assert device.renew().status_code == 200


def test_browser_may_quote_its_texts(device: Device) -> None:
    session_id, proof = device.told["session_identifier"], device.proof(device.challenge)
    names = {"sec_secure_session_id": f'"{session_id}"', "secure_session_response": f'"{proof}"'}
    assert device.post(device.told["refresh_url"], **names).status_code == 200


@pytest.mark.urls("tests.devices.test_proof_now")
def test_proof_is_spent_only_where_it_was_demanded(device: Device, report: Report) -> None:
    """Copied with all cookies, at the moment at which the browser has renewed."""
    device.renew()
    spent = []
    for path in (*PROOF_NOW_PATHS, "/pay/?to=eve"):
        device.post("/pay/?to=bob")
        device.renew()
        spent += [path] if device.thief().post(path).status_code == 200 else []
    report("A proof for one view, spent at another", [*PROOF_NOW_PATHS, "/pay/?to=eve"], spent)


def test_proof_for_another_session_is_refused(device: Device, ada: User, report: Report) -> None:
    other = Device().bind(ada)
    proofs = [device.proof(other.challenge), other.proof(other.challenge)]
    report("A proof for another session or host", proofs, renewed(device, *proofs))


def test_challenge_of_another_host_is_refused(device: Device, report: Report) -> None:
    device.host = "other.test"
    device.renew("")
    proof = device.proof(device.challenge)
    device.host = "testserver"
    report("A proof for another session or host", [proof], renewed(device, proof))


def hs256_with_public_key(device: Device) -> str:
    """The public key as the secret of an HMAC."""
    header = {"typ": "dbsc+jwt"}
    secret = device.jwk["x"] + device.jwk["y"]
    return jwt.encode({"jti": device.challenge}, secret, "HS256", header)


def deeply_nested() -> str:
    """As short as a proof may be, and deeper than PyJWT 2.10 can read."""
    header = b'{"typ":"dbsc+jwt","alg":"ES256","x":' + b"[" * 1500
    return urlsafe_b64encode(header).decode().rstrip("=") + ".e30.eA"


FORGED: dict[str, Callable[[Device], str]] = {
    "a foreign key": lambda device: device.proof(device.challenge, key=new_key()),
    "a foreign key that the proof names": lambda device: Device().proof(
        device.challenge, jwk=Device().jwk
    ),
    "no signature": lambda device: jwt.encode(
        {"jti": device.challenge}, "", "none", {"typ": "dbsc+jwt"}
    ),
    "an HMAC": hs256_with_public_key,
    "another algorithm": lambda device: device.proof(
        device.challenge, key=new_key("RS256"), algorithm="RS256"
    ),
    "another curve": lambda device: device.proof(
        device.challenge, key=ec.generate_private_key(ec.SECP384R1()), algorithm="ES384"
    ),
    "another type": lambda device: device.proof(device.challenge, typ="JWT"),
    "no challenge": lambda device: jwt.encode({}, device.key, "ES256", {"typ": "dbsc+jwt"}),
    "a number as challenge": lambda device: jwt.encode(
        {"jti": 1}, device.key, "ES256", {"typ": "dbsc+jwt"}
    ),
    "a made-up challenge": lambda device: device.proof("1800000000000.x.testserver:abc"),
    "a cut signature": lambda device: device.proof(device.challenge)[:-8],
    "no token": lambda device: "a.b.c",
    "bytes": lambda device: "\xff\x00",
    "a deeply nested token": lambda device: deeply_nested(),
    "a long token": lambda device: device.proof(device.challenge) + "A" * 10_000,
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_proof_is_refused_and_logged(
    what: str, device: Device, caplog: pytest.LogCaptureFixture, report: Report
) -> None:
    proof = FORGED[what](device)
    with caplog.at_level(logging.WARNING, "cookieproj.devices.bound"):
        report("A forged proof of a device's key", [proof], renewed(device, proof))
    assert not device.has_bound_cookie
    assert any("refused" in message for message in caplog.messages)
    assert all(part not in caplog.text for part in (proof, site.SECRET_KEY) if len(part) > 5)
    assert not device.thief_of_session().is_in
    # The browser with the key goes on.
    device.renew("")
    assert device.renew().status_code == 200
    assert device.is_in


WEAK: dict[str, tuple[str, Any]] = {
    "RSA with 1,024 bits": ("RS256", lambda: rsa.generate_private_key(65537, 1024)),
    "P-384": ("ES384", lambda: ec.generate_private_key(ec.SECP384R1())),
}


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")
@pytest.mark.parametrize("what", WEAK)
def test_key_of_another_strength_is_not_registered(what: str, ada: User, report: Report) -> None:
    algorithm, make = WEAK[what]
    device = Device()
    device.algorithm, device.key = algorithm, make()
    device.sign_in(ada)
    registered = [what] if device.register().status_code == 200 else []
    report("A weak, foreign or second key is registered", [what], registered)
    assert not device.has_bound_cookie
    assert device.is_in


def test_key_is_registered_only_with_the_challenge_of_the_sign_in(ada: User) -> None:
    device, other = Device().sign_in(ada), Device().sign_in(ada)
    own = device.registration
    device.registration = other.registration
    assert device.register().status_code == 403
    device.registration = own | {"challenge": "1.2.3:4"}
    assert device.register().status_code == 403
    device.registration = own
    assert device.register().status_code == 200


def test_second_key_is_not_registered(device: Device, report: Report) -> None:
    """Neither by a copy of the cookie with the challenge, nor by the browser itself."""
    senders = [device.thief(), device]
    registered = [sender for sender in senders if sender.register().status_code == 200]
    report("A weak, foreign or second key is registered", senders, registered)
    device.renew("")
    assert device.renew().status_code == 200
    assert device.is_in


def test_second_key_is_not_registered_before_the_first_is_confirmed(ada: User) -> None:
    device = Device().sign_in(ada)
    thief = device.thief()
    device.register()
    assert thief.register().status_code == 403
    assert device.is_in


def test_visitor_registers_nothing(client: Any) -> None:
    device = Device()
    proof = device.proof("x", jwk=device.jwk)
    path = "/devices/bound/register/"
    assert device.post(path, secure_session_response=proof).status_code == 404
    assert device.get(path).status_code == 405
    device.told = {"session_identifier": "x", "refresh_url": "/devices/bound/renew/"}
    assert json.loads(device.renew().content) == {"session_identifier": "x", "continue": False}


def test_of_two_proofs_at_once_one_counts(database_file: Path, profile: str, ada: User) -> None:
    """The same proof, sent by the browser and by a thief."""
    device = Device().bind(ada)
    proof = device.proof(device.challenge)
    devices = [device.forget_bound_cookie(), device.thief_of_session()]
    barrier, statuses = Barrier(2), []

    def renew(sender: Device) -> None:
        barrier.wait()
        statuses.append(sender.renew(proof).status_code)
        connection.close()

    threads = [Thread(target=renew, args=[sender]) for sender in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 403]
    assert sum(sender.has_bound_cookie for sender in devices) == 1


def test_grace_after_the_first_cookie_is_short(clock: Any, ada: User) -> None:
    device = Device().bind(ada)
    clock.shift(GRACE + 1)
    assert not device.thief_of_session().is_in


ENDS: dict[str, Callable[[Device, User], object]] = {
    "a sign-out": lambda device, ada: device.post("/devices/sign-out/"),
    "a sign-out from elsewhere": lambda device, ada: (
        Device().sign_in(ada).post("/devices/sign-out-others/")
    ),
    "a new password": lambda device, ada: new_password(ada),
}


def new_password(user: User) -> None:
    user.set_password("another")
    user.save()


@pytest.mark.parametrize("end", ENDS)
def test_ended_session_is_not_renewed(end: str, clock: Any, ada: User, report: Report) -> None:
    """Also if the browser lost its cookies, as by ``Clear-Site-Data``, and renews them back."""
    device = Device().bind(ada)
    thief = device.thief()
    ENDS[end](device, ada)
    for sender in (device, thief):
        sender.forget_bound_cookie().renew("")
        sender.renew()
    opened = [sender for sender in (device, thief) if sender.has_bound_cookie or sender.is_in]
    report("A renewal of a bound session that has ended", [device, thief], opened)


def test_form_of_another_site_changes_nothing(device: Device, report: Report) -> None:
    """The views are exempt from the CSRF check."""
    before = dict(device.client.session.items())
    paths = [device.registration["path"], device.told["refresh_url"]]
    tries = [(path, {"origin": "https://evil.test"}) for path in paths]
    succeeded = [
        (path, names) for path, names in tries if device.post(path, {"a": "1"}, **names).cookies
    ]
    report("A form sent by another site to the views of bound sessions", tries, succeeded)
    assert dict(device.client.session.items()) == before
