"""Attacks on bound sessions: proofs of others, of before, and of no key at all."""

import json
import logging
from collections.abc import Callable, Iterator
from threading import Barrier, Thread
from typing import Any

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.conf import settings as site
from pytest_django import Settings

from cookieproj.devices.bound import headers
from cookieproj.devices.bound.admission import GRACE
from cookieproj.devices.bound.challenges import CHALLENGE_AGE
from demo.models import User
from tests.conftest import on
from tests.families import SERVER_ENGINES

from .bound_device import Device, new_key

AGE = 300


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


def test_proof_counts_once(device: Device) -> None:
    proof = device.proof(device.challenge)
    thief = device.thief()
    assert device.renew(proof).status_code == 200
    assert thief.renew(proof).status_code == 403
    assert not thief.has_bound_cookie
    assert device.is_in


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


def test_proof_for_another_session_is_refused(device: Device, ada: User) -> None:
    other = Device().bind(ada)
    assert device.renew(device.proof(other.challenge)).status_code == 403
    assert device.renew(other.proof(other.challenge)).status_code == 403
    assert not device.has_bound_cookie


def test_challenge_of_another_host_is_refused(device: Device, clock: Any, ada: User) -> None:
    device.host = "other.test"
    device.renew("")
    proof = device.proof(device.challenge)
    device.host = "testserver"
    assert device.renew(proof).status_code == 403


def hs256_with_public_key(device: Device) -> str:
    """The public key as the secret of an HMAC."""
    header = {"typ": "dbsc+jwt"}
    secret = device.jwk["x"] + device.jwk["y"]
    return jwt.encode({"jti": device.challenge}, secret, "HS256", header)


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
    "a long token": lambda device: device.proof(device.challenge) + "A" * 10_000,
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_proof_is_refused_and_logged(
    what: str, device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    proof = FORGED[what](device)
    with caplog.at_level(logging.WARNING, "cookieproj.devices.bound"):
        response = device.renew(proof)
    assert response.status_code == 403
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
def test_key_of_another_strength_is_not_registered(what: str, ada: User) -> None:
    algorithm, make = WEAK[what]
    device = Device()
    device.algorithm, device.key = algorithm, make()
    device.sign_in(ada)
    assert device.register().status_code == 403
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


def test_second_key_is_not_registered(device: Device) -> None:
    """Neither by a copy of the cookie with the challenge, nor by the browser itself."""
    thief = device.thief()
    assert thief.register().status_code == 403
    assert device.register().status_code == 403
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


@pytest.mark.django_db(transaction=True)
def test_of_two_proofs_at_once_one_counts(ada: User, profile: str, transactional_db: None) -> None:
    """The same proof, sent by the browser and by a thief."""
    device = Device().bind(ada)
    proof = device.proof(device.challenge)
    devices = [device.forget_bound_cookie(), device.thief_of_session()]
    barrier, statuses = Barrier(2), []

    def renew(sender: Device) -> None:
        barrier.wait()
        statuses.append(sender.renew(proof).status_code)

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
