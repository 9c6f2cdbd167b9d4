"""The page that shows where this browser's session is stored, and each step of decoding it."""

import re
import stat
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.sessions.backends.file import SessionStore as FileStore
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cookieproj.engines.clock import is_past
from cookieproj.engines.constants import COOKIE_SALT, STORE_SALT
from cookieproj.engines.encrypted_cookies import SessionStore as EncryptedCookies
from cookieproj.engines.entries import Location
from cookieproj.engines.session_keys import masked

from .decoding import SIGNED, Step, as_text, decoding_steps
from .four_questions import session_answers
from .page_header import State
from .session_entries import explained_entries
from .wording import time_until


class StoredTextForm(forms.Form):
    text = forms.CharField(
        label=_("The stored text"),
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
        help_text=_("Change anything you like. The page only reads the text and stores nothing."),
    )


@dataclass(frozen=True)
class StoredSession:
    """The session in one of its stores, as the page shows it.

    ``shows_secrets`` is whether keys and signatures are shown in full.
    """

    location: Location
    session: Any
    shows_secrets: bool

    @property
    def name(self) -> str:
        """The name of the entry in the store. It contains the session key, which is masked."""
        key = self.session.session_key
        if self.shows_secrets:
            return self.location.name
        return self.location.name.replace(key, masked(key))

    @property
    def mode(self) -> str:
        """The mode of the session's file, as ls shows it, or "" without a file."""
        if not isinstance(self.session, FileStore):
            return ""
        try:
            return stat.filemode(Path(self.session._key_to_file()).stat().st_mode)  # type: ignore[attr-defined]
        except FileNotFoundError:
            return ""

    @property
    def expires(self) -> datetime | None:
        """When the store lets the session expire, or None if it does not report that."""
        return self.location.expires

    @property
    def time_left(self) -> str:
        """The time until the session expires; "" if it has, or if the store does not report it."""
        if self.expires is None or is_past(self.expires):
            return ""
        return time_until(self.expires)

    @property
    def size(self) -> int:
        return len(self.location.payload)

    @property
    def text(self) -> str:
        return self._mask_signature(self._stored_text)

    @property
    def steps(self) -> list[Step]:
        steps = decoding_steps(self.location.payload, dict(self.session.items()), self.salt)
        return [replace(step, outcome=self._mask_signature(step.outcome)) for step in steps]

    @property
    def is_cookie(self) -> bool:
        """Whether the store is the cookie itself."""
        return bool(self._stored_text == self.session.session_key)

    @property
    def salt(self) -> str:
        return COOKIE_SALT if self.is_cookie else STORE_SALT

    @property
    def signed(self) -> re.Match[str] | None:
        """The parts of a signed text, or None if the stored text is not signed."""
        return SIGNED.fullmatch(self._stored_text)

    @property
    def is_encrypted(self) -> bool:
        return EncryptedCookies.is_cookie(self._stored_text)

    @property
    def _stored_text(self) -> str:
        return as_text(self.location.payload)

    def _mask_signature(self, text: str) -> str:
        """Return the text with its signature masked: without one it cannot be used as a cookie.

        An encrypted cookie has no such part, so nearly all of it is masked.
        """
        if self.is_encrypted and not self.shows_secrets:
            return text.replace(self._stored_text, masked(self._stored_text))
        if self.shows_secrets or not self.signed:
            return text
        signature = self.signed["signature"]
        return text.replace(signature, masked(signature))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def session_page(request: HttpRequest) -> HttpResponse:
    """Show the session in each of its stores, and decode a text that the visitor has changed."""
    shows_secrets = "whole" in request.GET
    state = State(request)
    places = stored_sessions(state, shows_secrets) if settings.DEBUG else []
    signed = next((place for place in places if place.signed), None)
    form = StoredTextForm(request.POST or None, initial={"text": signed.text if signed else ""})
    changed_steps: list[Step] = []
    if signed and form.is_valid():
        changed_steps = list(decoding_steps(form.cleaned_data["text"].encode(), salt=signed.salt))
    context = {
        "state": state,
        "answers": session_answers(state),
        "places": places,
        "entries": list(explained_entries(state.request.session)) if places else [],
        "signed": signed,
        # Requests read it before the signed one.
        "unsigned_copy": next((place for place in places if not place.signed), None),
        "is_encrypted": any(place.is_encrypted for place in places),
        "shows_secrets": shows_secrets,
        "debug": settings.DEBUG,
        "form": form,
        "changed_steps": changed_steps,
    }
    return render(request, "demo/session.html", context)


def stored_sessions(state: State, shows_secrets: bool) -> list[StoredSession]:
    """Return the session in each of its stores, or nothing if the engine cannot locate it."""
    session = state.request.session
    return [StoredSession(location, session, shows_secrets) for location in state.locations]
