"""Signed texts are Django's, made with keys that are kept, and only where nothing differs."""

import copy
import functools
import pickle
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.conf import settings as django_settings
from django.contrib.sessions.backends.base import SessionBase
from django.core import signing
from django.test import override_settings
from django.utils.functional import lazy
from pytest_django import Settings

from cookieproj.engines import encrypted_cookies, signatures, subclass_hooks
from cookieproj.engines.constants import COOKIE_SALT
from cookieproj.engines.db import SessionStore as DBStore
from cookieproj.engines.encryption import DecryptionError
from cookieproj.engines.signatures import (
    SignedContent,
    dumps,
    loads,
    sign,
    unpack,
    verify,
    verify_and_unpack,
)
from cookieproj.engines.signed_cookies import SessionStore as CookieStore

SALT = "django.contrib.sessions.SessionStore"
SECOND = 1_800_000_000

VALUES: list[Any] = [
    {},
    {"a": 1},
    {"text": "a" * 2000},
    {"text": "kůň 🐎 \ud800", "deep": {"list": [1, 2.5, None, True, float("inf")]}},
    {1: "a", False: "b", None: [(1, 2)]},
    {"random": "0Xv-_~?>" * 9},
]


@pytest.mark.parametrize("secret", ["s" * 50, "ž" * 50, b"\xff" * 50])
@pytest.mark.parametrize("value", VALUES)
def test_texts_are_those_of_django(value: Any, secret: str | bytes) -> None:
    with override_settings(SECRET_KEY=secret), time_machine.travel(SECOND, tick=False):
        text = signing.dumps(value, salt=SALT, compress=True)
        assert sign(dumps(value), SALT) == text
        assert sign(dumps(value), SALT, SECOND) == text
        signed, used_secret = verify(text, SALT)
        serialized, second = unpack(signed)
        assert loads(serialized) == signing.loads(text, salt=SALT)
        assert (second, used_secret) == (SECOND, secret)


def test_each_changed_character_is_refused() -> None:
    text = sign(dumps({"a": [1, 2], "text": "a" * 99}), SALT)
    for position, character in enumerate(text):
        for other in {"A", "B", "-", "_", ".", ":", "é"} - {character}:
            changed = f"{text[:position]}{other}{text[position + 1 :]}"
            with pytest.raises(signing.BadSignature):
                verify(changed, SALT)


@pytest.mark.parametrize("text", ["", ":", "a", "a:b", ":" * 9, "é:é"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(signing.BadSignature):
        verify(text, SALT)


def test_other_salt_is_refused() -> None:
    with pytest.raises(signing.BadSignature):
        verify(sign(dumps({}), SALT), f"{SALT}s")


def test_signatures_are_compared_in_constant_time() -> None:
    """Whatever ``compare_digest`` says decides, and it gets the whole signatures."""
    text = sign(dumps({}), SALT)
    with (
        mock.patch.object(signatures, "compare_digest", return_value=False) as compare,
        pytest.raises(signing.BadSignature),
    ):
        verify(text, SALT)
    first, second = compare.call_args.args
    assert first == second == text.rpartition(":")[2].encode()


class TestSecrets:
    def test_changed_key_counts_at_once(self) -> None:
        text = sign(dumps({}), SALT)
        with override_settings(SECRET_KEY="other"):
            with pytest.raises(signing.BadSignature):
                verify(text, SALT)
            others = sign(dumps({}), SALT)
            assert signing.loads(others, salt=SALT) == {}
        verify(text, SALT)
        with pytest.raises(signing.BadSignature):
            verify(others, SALT)

    def test_fallback_verifies_and_signs_nothing(self, settings: Settings) -> None:
        text, old = sign(dumps({}), SALT), django_settings.SECRET_KEY
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["x", old]
        assert verify(text, SALT)[1] == old
        settings.SECRET_KEY_FALLBACKS = []
        with pytest.raises(signing.BadSignature):
            verify(text, SALT)

    def test_text_and_bytes_of_one_key_are_alike(self, settings: Settings) -> None:
        settings.SECRET_KEY = "secret"
        text = sign(dumps({}), SALT, SECOND)
        settings.SECRET_KEY = b"secret"
        assert sign(dumps({}), SALT, SECOND) == text

    def test_empty_fallback_is_no_key(self, settings: Settings) -> None:
        """As of a variable that is not set: everybody could sign with it."""
        settings.SECRET_KEY_FALLBACKS = [""]
        value = "e30:1xWm4V"
        forged = f"{value}:{signatures.signature(value.encode(), SALT, '').decode()}"
        with pytest.raises(signing.BadSignature):
            verify(forged, SALT)
        with mock.patch.object(encrypted_cookies, "settings", mock.Mock(SECRET_KEY="")):
            cookie = encrypted_cookies.SessionStore().make_cookie({}, mock.Mock(timestamp=int))
        with pytest.raises(DecryptionError):
            encrypted_cookies.decrypted(cookie)

    def test_they_are_neither_shown_nor_pickled(self) -> None:
        content = SignedContent(sign(dumps({"a": 1}), SALT), SALT)
        assert content() == {"a": 1}
        secret = django_settings.SECRET_KEY
        assert secret not in repr(content)
        assert secret.encode() not in pickle.dumps(content)
        assert secret not in repr(signatures.begun_hmac)

    def test_threads_share_the_kept_keys(self) -> None:
        texts = [sign(dumps({"number": number}), SALT) for number in range(50)]
        with ThreadPoolExecutor(8) as threads:
            values = threads.map(lambda text: unpack(verify(text, SALT)[0])[0], texts * 20)
            assert list(map(loads, values)) == [{"number": number} for number in range(50)] * 20


class TestKnownTexts:
    """A text that this process has lately signed or verified is not verified again."""

    @pytest.fixture(autouse=True)
    def known(self) -> Iterator[dict[str, Any]]:
        with mock.patch.dict(signatures._known, clear=True):
            yield signatures._known

    @pytest.fixture
    def verifications(self) -> Iterator[mock.Mock]:
        with mock.patch.object(signatures, "verify", wraps=verify) as verifications:
            yield verifications

    def test_text_is_verified_once(self, verifications: mock.Mock) -> None:
        text = signing.dumps({"a": 1}, salt=SALT)
        for _ in range(3):
            serialized, _second, secret = verify_and_unpack(text, SALT)
            assert (loads(serialized), secret) == ({"a": 1}, django_settings.SECRET_KEY)
        assert verifications.call_count == 1

    def test_signed_text_is_not_verified(self, verifications: mock.Mock) -> None:
        text = sign(dumps({"a": 1}), SALT, SECOND)
        expected = dumps({"a": 1}), SECOND, django_settings.SECRET_KEY
        assert verify_and_unpack(text, SALT) == expected
        assert not verifications.called

    def test_other_salt_is_refused(self) -> None:
        text = sign(dumps({}), SALT)
        with pytest.raises(signing.BadSignature):
            verify_and_unpack(text, f"{SALT}s")
        assert verify_and_unpack(text, SALT)

    def test_each_changed_character_is_refused(self) -> None:
        text = sign(dumps({"a": [1, 2]}), SALT)
        for position, character in enumerate(text):
            other = "A" if character != "A" else "B"
            with pytest.raises(signing.BadSignature):
                verify_and_unpack(f"{text[:position]}{other}{text[position + 1 :]}", SALT)

    def test_changed_key_counts_at_once(self, settings: Settings) -> None:
        text, old = sign(dumps({}), SALT), django_settings.SECRET_KEY
        settings.SECRET_KEY = "new"
        with pytest.raises(signing.BadSignature):
            verify_and_unpack(text, SALT)
        settings.SECRET_KEY_FALLBACKS = [old]
        assert verify_and_unpack(text, SALT)[2] == old
        settings.SECRET_KEY_FALLBACKS = [""]
        with pytest.raises(signing.BadSignature):
            verify_and_unpack(text, SALT)

    def test_lazy_key_counts_as_it_is_now(self, settings: Settings) -> None:
        keys = ["old"]
        settings.SECRET_KEY = lazy(lambda: keys[-1], str)()
        text = sign(dumps({}), SALT)
        secret: Any = verify_and_unpack(text, SALT)[2]
        assert secret == b"old"
        keys.append("new")
        with pytest.raises(signing.BadSignature):
            verify_and_unpack(text, SALT)

    @pytest.mark.parametrize("kind", [bytearray, memoryview])
    def test_key_may_be_of_any_type(self, settings: Settings, kind: type) -> None:
        settings.SECRET_KEY = kind(bytearray(b"secret"))
        text = sign(dumps({"a": 1}), SALT)
        assert signing.loads(text, salt=SALT) == {"a": 1}
        assert loads(verify_and_unpack(text, SALT)[0]) == {"a": 1}

    def test_what_is_refused_is_not_known(self, known: dict[str, Any]) -> None:
        with pytest.raises(signing.BadSignature):
            verify_and_unpack("a:b:c", SALT)
        assert not known

    def test_the_last_short_texts_are_known(self, known: dict[str, Any]) -> None:
        texts = [sign(dumps({"n": number}), SALT) for number in range(signatures.MOST_KNOWN + 9)]
        assert list(known) == texts[9:]
        for long in (secrets.token_hex(4096), "a" * 5000):
            sign(dumps({"long": long}), SALT)
        assert list(known) == texts[9:]

    def test_threads_know_and_forget_texts_concurrently(self, known: dict[str, Any]) -> None:
        def use(number: int) -> Any:
            text = sign(dumps({"n": number}), SALT)
            return loads(verify_and_unpack(text, SALT)[0]) == {"n": number}

        with mock.patch.object(signatures, "MOST_KNOWN", 3), ThreadPoolExecutor(8) as threads:
            assert all(threads.map(use, range(3000)))
            sign(dumps({}), SALT)
            assert len(known) == 3

    def test_no_secret_is_shown(self, known: dict[str, Any]) -> None:
        sign(dumps({}), SALT)
        assert django_settings.SECRET_KEY not in repr(known)


class TestSignedContent:
    def test_is_verified_once_and_decoded_newly(self) -> None:
        content = SignedContent(signing.dumps({"list": [1]}, salt=SALT), SALT)
        with (
            mock.patch.dict(signatures._known, clear=True),
            mock.patch.object(signatures, "verify", wraps=verify) as verifying,
        ):
            first, second = content(), content()
        assert verifying.call_count == 1
        first["list"].append(2)
        assert second == content() == {"list": [1]}

    def test_logs_each_time_that_it_is_no_session(self, caplog: pytest.LogCaptureFixture) -> None:
        for text in ("no", sign(b"[]", SALT), sign(b"{", SALT)):
            caplog.clear()
            content = SignedContent(text, SALT)
            assert content() == content() == {}
            assert [record.getMessage() for record in caplog.records] == [
                "Session data corrupted"
            ] * 2

    def test_can_be_pickled_and_copied(self) -> None:
        content = SignedContent(sign(dumps({"a": 1}), SALT), SALT)
        for _decoded in range(2):
            assert pickle.loads(pickle.dumps(content))() == copy.deepcopy(content)() == {"a": 1}
            content()


class PickleSerializer:
    def dumps(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def loads(self, value: bytes) -> Any:
        return pickle.loads(value)


class OtherSigner(signing.TimestampSigner):
    pass


class OverridingEncode:
    def encode(self, session_dict: dict[str, Any]) -> str:
        return super().encode(session_dict)  # type: ignore[misc,no-any-return]


class OverridingDecode:
    def decode(self, session_data: str) -> Any:
        return super().decode(session_data)  # type: ignore[misc]


def overriding(base: type, **members: Any) -> type:
    """Return a site's engine of that name, which is a part of the salt."""
    return type("SessionStore", (base,), {"__module__": __name__, **members})


@pytest.fixture(params=[DBStore, CookieStore], ids=["db", "signed_cookies"])
def session_class(request: pytest.FixtureRequest) -> Any:
    return request.param


def imported_again(module: ModuleType) -> Any:
    """Return that module as it would be if it were imported now."""
    spec = spec_from_file_location(module.__name__, module.__file__)
    assert spec
    assert spec.loader
    again = module_from_spec(spec)
    spec.loader.exec_module(again)
    return again


class EqualWrapper:
    def __init__(self, wrapped: Any) -> None:
        self.wrapped = self.__func__ = wrapped

    def __eq__(self, other: object) -> bool:
        return bool(self.wrapped == other)

    def __hash__(self) -> int:
        return hash(self.wrapped)


class TestDjangosWayIsTaken:
    """``signs_like_django`` says when."""

    def calls_of_djangos_hmac(self, store: Any) -> int:
        """Return how often Django computes an HMAC for a text that is made and read."""
        session = store()
        with mock.patch.object(signing, "base64_hmac", wraps=signing.base64_hmac) as hmac:
            if isinstance(session, CookieStore):
                session["a"] = 1
                session.save()
                assert store(session.session_key)["a"] == 1
            else:
                assert session.decode(session.encode({"a": 1})) == {"a": 1}
        return hmac.call_count

    def test_not_by_default(self, session_class: Any) -> None:
        assert self.calls_of_djangos_hmac(session_class) == 0
        assert self.calls_of_djangos_hmac(overriding(session_class, anything=1)) == 0

    @pytest.mark.parametrize("mixin", [OverridingEncode, OverridingDecode])
    def test_if_encode_or_decode_is_overridden(self, session_class: Any, mixin: type) -> None:
        store = type("SessionStore", (mixin, session_class), {"__module__": __name__})
        assert self.calls_of_djangos_hmac(store) == 2

    def test_if_the_serializer_is_another(self, session_class: Any, settings: Settings) -> None:
        settings.SESSION_SERIALIZER = f"{__name__}.PickleSerializer"
        assert self.calls_of_djangos_hmac(session_class) == 2

    def test_if_a_session_has_another_serializer(self, session_class: Any) -> None:
        def init(self: Any, session_key: str | None = None) -> None:
            session_class.__init__(self, session_key)
            self.serializer = PickleSerializer

        store = overriding(session_class, __init__=init)
        assert self.calls_of_djangos_hmac(store) == 2

    def test_if_there_is_another_signing_backend(
        self, session_class: Any, settings: Settings
    ) -> None:
        settings.SIGNING_BACKEND = f"{__name__}.OtherSigner"
        assert self.calls_of_djangos_hmac(session_class) == 2

    def test_if_there_is_no_salt(self) -> None:
        store: Any = overriding(DBStore, key_salt="")
        assert self.calls_of_djangos_hmac(store) == 2

    @pytest.mark.parametrize("name", ["dumps", "loads"])
    def test_if_a_function_of_djangos_is_replaced(self, session_class: Any, name: str) -> None:
        original = getattr(signing, name)
        with mock.patch.object(signing, name, wraps=original):
            assert self.calls_of_djangos_hmac(session_class) == 2

    def test_if_djangos_signer_is_replaced(self, session_class: Any) -> None:
        with mock.patch.object(signing, "TimestampSigner", OtherSigner):
            assert self.calls_of_djangos_hmac(session_class) == 2

    @pytest.mark.parametrize(
        ("place", "name"),
        [
            (signing, "salted_hmac"),
            (signing.Signer, "signature"),
            (signing.Signer, "unsign"),
            (signing.TimestampSigner, "sign"),
            (signing.JSONSerializer, "dumps"),
            (signing.JSONSerializer, "loads"),
            (SessionBase, "encode"),
        ],
    )
    def test_if_a_method_of_djangos_is_replaced(
        self, session_class: Any, place: Any, name: str
    ) -> None:
        """Even by a wrapper that equals what it wraps, as those of wrapt do."""
        session = session_class()
        assert subclass_hooks.signs_like_django(session)
        with mock.patch.object(place, name, EqualWrapper(getattr(place, name))):
            assert not subclass_hooks.signs_like_django(session)

    @pytest.mark.parametrize("wraps", [True, False])
    def test_if_a_function_was_replaced_before_the_import(self, wraps: bool) -> None:
        def replaced(*arguments: Any, **options: Any) -> Any:
            return original(*arguments, **options)

        original = signing.dumps
        patch = functools.wraps(original)(replaced) if wraps else replaced
        with mock.patch.object(signing, "dumps", patch):
            assert not imported_again(subclass_hooks).signs_like_django(DBStore())
        assert imported_again(subclass_hooks).signs_like_django(DBStore())


def test_cookie_opens_with_djangos_salt_only() -> None:
    session = CookieStore()
    session["a"] = 1
    session.save()
    assert signing.loads(str(session.session_key), salt=COOKIE_SALT) == {"a": 1}
    assert CookieStore(sign(dumps({"a": 1}), SALT)).load() == {}
