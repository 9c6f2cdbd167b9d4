"""Where this browser's session lives, with the very bytes and each step of reading them."""

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
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cookieproj.engines.constants import COOKIE_SALT, STORE_SALT
from cookieproj.engines.entries import Location
from cookieproj.engines.listing import ListingMixin
from cookieproj.engines.session_keys import masked

from .decoding import SIGNED, Step, shown, steps


class TryForm(forms.Form):
    text = forms.CharField(
        label=_("The stored text"),
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
        help_text=_("Change what you like. Nothing is stored: this only reads it."),
    )


@dataclass(frozen=True)
class Place:
    """One place in which the session is, as the page shows it."""

    location: Location
    session: Any
    is_whole: bool

    @property
    def name(self) -> str:
        """What the session is called there. It holds the key, so a part of that is left out."""
        key = self.session.session_key
        if self.is_whole:
            return self.location.name
        return self.location.name.replace(key, masked(key))

    @property
    def mode(self) -> str:
        """Of the file, as ls shows it; empty where it is none, or none any more."""
        if not isinstance(self.session, FileStore):
            return ""
        try:
            return stat.filemode(Path(self.session._key_to_file()).stat().st_mode)  # type: ignore[attr-defined]
        except FileNotFoundError:
            return ""

    @property
    def expires(self) -> datetime | None:
        """None where the store does not tell."""
        return self.location.expires

    @property
    def seconds(self) -> int | None:
        """Left to live."""
        if self.expires is None:
            return None
        return int((self.expires - timezone.now()).total_seconds())

    @property
    def size(self) -> int:
        return len(self.location.payload)

    @property
    def text(self) -> str:
        return self._less_the_signature(self._stored)

    @property
    def steps(self) -> list[Step]:
        read = steps(self.location.payload, dict(self.session.items()), self.salt)
        return [replace(step, outcome=self._less_the_signature(step.outcome)) for step in read]

    @property
    def is_cookie(self) -> bool:
        """Whether what is stored is the cookie itself."""
        return bool(self._stored == self.session.session_key)

    @property
    def salt(self) -> str:
        return COOKIE_SALT if self.is_cookie else STORE_SALT

    @property
    def signed(self) -> re.Match[str] | None:
        return SIGNED.fullmatch(self._stored)

    @property
    def _stored(self) -> str:
        return shown(self.location.payload)

    def _less_the_signature(self, text: str) -> str:
        """Without it a signed text opens nothing."""
        if self.is_whole or not self.signed:
            return text
        signature = self.signed["signature"]
        return text.replace(signature, masked(signature))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def where(request: HttpRequest) -> HttpResponse:
    is_whole = "whole" in request.GET
    places = places_of(request.session, is_whole) if settings.DEBUG else []
    signed = next((place for place in places if place.signed), None)
    form = TryForm(request.POST or None, initial={"text": signed.text if signed else ""})
    tried: list[Step] = []
    if signed and form.is_valid():
        tried = list(steps(form.cleaned_data["text"].encode(), salt=signed.salt))
    context = {
        "places": places,
        "signed": signed,
        "is_whole": is_whole,
        "can_tell": isinstance(request.session, ListingMixin),
        "debug": settings.DEBUG,
        "form": form,
        "tried": tried,
    }
    return render(request, "demo/where.html", context)


def places_of(session: Any, is_whole: bool) -> list[Place]:
    if not isinstance(session, ListingMixin) or not session.session_key:
        return []
    return [Place(location, session, is_whole) for location in session.locate()]
