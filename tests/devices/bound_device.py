"""A browser that binds sessions to its device, with the key in software."""

import json
import re
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.conf import settings
from django.http import HttpResponse
from django.test import Client

from cookieproj.devices.bound import headers
from cookieproj.devices.bound.admission import REGISTRATION_TIME
from cookieproj.devices.bound.bound_cookie import cookie_name
from demo.models import User

REGISTRATION = re.compile(
    r'\(ES256 RS256\);path="(?P<path>[^"]+)";challenge="(?P<challenge>[^"]+)"'
)
CHALLENGE = re.compile(r'"(?P<challenge>[^"]+)";id="(?P<id>[^"]+)"')

# Seconds for which a bound cookie lives in the tests.
BOUND_AGE = 300

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def new_key(algorithm: str = "ES256") -> Key:
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


class Device:
    """Follows the draft as Chromium does, but only when a test says so."""

    def __init__(self, algorithm: str = "ES256", *, host: str = "testserver") -> None:
        self.algorithm = algorithm
        self.key = new_key(algorithm)
        self.client = Client()
        self.host = host
        self.registration: dict[str, str] = {}
        self.challenge = ""
        self.told: dict[str, Any] = {}

    def get(self, path: str = "/auth/account/", **names: str) -> HttpResponse:
        return self._keep(self.client.get(path, secure=True, headers=self._sent(names)))

    def post(self, path: str, data: Any = None, **names: str) -> HttpResponse:
        sent = self._sent(names)
        return self._keep(self.client.post(path, data, secure=True, headers=sent))

    def _sent(self, names: dict[str, str]) -> dict[str, str]:
        return {"host": self.host} | {name.replace("_", "-"): text for name, text in names.items()}

    def receive(self, response: HttpResponse) -> None:
        """Keep the cookies of a response to another tab."""
        self.client.cookies.update(response.cookies)
        self._keep(response)

    def _keep(self, response: Any) -> HttpResponse:
        """Do as a browser with deleted cookies and offers."""
        for name in [name for name, morsel in self.client.cookies.items() if not morsel.value]:
            del self.client.cookies[name]
        if offer := REGISTRATION.fullmatch(response.headers.get(headers.REGISTRATION, "")):
            self.registration = offer.groupdict()
        if found := CHALLENGE.fullmatch(response.headers.get(headers.CHALLENGE, "")):
            self.challenge = found["challenge"]
        return response  # type: ignore[no-any-return]

    @property
    def is_in(self) -> bool:
        return self.get().status_code == 200

    @property
    def has_bound_cookie(self) -> bool:
        return cookie_name() in self.client.cookies

    def sign_in(self, user: User) -> "Device":
        form = {"username": user.username, "password": "cookies"}
        assert self.post("/auth/sign-in/", form).status_code == 302
        return self

    def bind(self, user: User) -> "Device":
        """Sign in, register the key, and send a first request with the bound cookie."""
        self.sign_in(user)
        assert self.register().status_code == 200
        assert self.is_in
        return self

    def register(self, **changes: Any) -> HttpResponse:
        proof = self.proof(self.registration["challenge"], jwk=self.jwk, **changes)
        response = self.post(self.registration["path"], secure_session_response=proof)
        if response.status_code == 200:
            self.told = json.loads(response.content)
        return response

    def lose_answer_to_registration(self) -> "Device":
        """Register the key, and get no response."""
        name = settings.SESSION_COOKIE_NAME
        session = self.client.cookies[name].value
        assert self.register().status_code == 200
        self.client.cookies[name] = session
        return self.forget_bound_cookie()

    def renew(self, proof: str | None = None) -> HttpResponse:
        """Send the proof, by default one of the last challenge; "" for none."""
        sent = self.proof(self.challenge) if proof is None else proof
        names = {"sec_secure_session_id": self.told["session_identifier"]}
        names |= {"secure_session_response": sent} if sent else {}
        return self.post(self.told["refresh_url"], **names)

    def proof(
        self, challenge: str, key: Any = None, algorithm: str = "", claims: Any = None, **more: Any
    ) -> str:
        header = {"typ": "dbsc+jwt"} | ({"jwk": more.pop("jwk")} if "jwk" in more else {})
        algorithm = algorithm or self.algorithm
        return jwt.encode(
            {"jti": challenge} | (claims or {}),
            key or self.key,
            algorithm,
            {**header, **more},
        )

    @property
    def jwk(self) -> dict[str, str]:
        public = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.key.public_key())
        return {name: value for name, value in json.loads(public).items() if name != "key_ops"}

    def forget_bound_cookie(self) -> "Device":
        """As after its Max-Age."""
        self.client.cookies.pop(cookie_name(), None)
        return self

    def thief(self, *names: str) -> "Device":
        """Another device with a copy of these cookies, by default of all."""
        copy = Device(host=self.host)
        copy.told, copy.challenge = self.told, self.challenge
        copy.registration = self.registration
        for name in names or tuple(self.client.cookies):
            copy.client.cookies[name] = self.client.cookies[name].value
        return copy

    def thief_of_session(self) -> "Device":
        """Another device with a copy of the long-lived cookie alone."""
        return self.thief(settings.SESSION_COOKIE_NAME)


def answer_offer(device: Device, clock: Any) -> None:
    """Register the key that the next response asks for: then the session opens with it alone."""
    assert device.is_in
    assert device.register().status_code == 200
    assert device.is_in
    clock.shift(REGISTRATION_TIME + 1)
    assert device.is_in
    assert not device.thief_of_session().is_in
