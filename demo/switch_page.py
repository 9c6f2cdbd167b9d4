"""A page that explains a switch of engines, step by step, for the two that somebody names."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cookieproj.engines import running_engine
from cookieproj.engines.constants import CACHE, CACHED_DB, DB, ENGINE_NAMES, FILE, SIGNED_COOKIES
from cookieproj.engines.exceptions import SessionStoreError
from cookieproj.engines.handover import previous
from cookieproj.engines.session_counts import figure

SAME_ROWS = {DB, CACHED_DB}
SECONDS_A_DAY = 24 * 60 * 60


class SwitchForm(forms.Form):
    old = forms.ChoiceField(
        label=gettext_lazy("From"), choices=[(name, name) for name in ENGINE_NAMES]
    )
    new = forms.ChoiceField(
        label=gettext_lazy("To"), choices=[(name, name) for name in ENGINE_NAMES]
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("old") and data.get("old") == data.get("new"):
            raise forms.ValidationError(_("These are the same: name the engine to change to."))
        return data


@dataclass(frozen=True)
class Step:
    """What to do, why, and the commands for it."""

    title: str
    text: str
    commands: str = ""


@dataclass(frozen=True)
class Switch:
    """From a profile to another."""

    old: str
    new: str

    @property
    def keeps_the_key(self) -> bool:
        return SIGNED_COOKIES not in (self.old, self.new)

    @property
    def what_happens(self) -> str:
        """To a session that comes back."""
        if self.new == SIGNED_COOKIES:
            return _(
                "Its data is signed into the cookie of that response. What is too large for a "
                "cookie stays in the old store, and the log says so: such sessions last as long "
                "as the handover does."
            )
        if self.old == SIGNED_COOKIES:
            return _(
                "Its data is stored, and the cookie of that response holds the key. The old "
                "cookie opens the same session, until that ends; then it opens nothing."
            )
        if {self.old, self.new} == SAME_ROWS:
            return _("Both engines keep the same rows, so it is there already.")
        return _(
            "It is moved under its own key, with what is left of its time, so the browser's cookie "
            "stays as it is. From then on it costs what the new engine costs."
        )

    def steps(self) -> Iterator[Step]:
        yield Step(_("Make the new store ready"), self.readiness)
        yield Step(
            _("With several processes: tell those of now"),
            _(
                "While they are replaced one by one, old and new ones serve the same people. So "
                "that each finds what the other has moved, restart the old ones with the handover "
                "the other way round. One process, or a moment of maintenance, needs no such step."
            ),
            environment(self.old, self.new),
        )
        yield Step(
            _("Switch"),
            _("Every session that comes back is moved as it is used; nobody is signed out."),
            environment(self.new, self.old),
        )
        yield Step(_("Move the rest"), self.rest, self.rest_command)
        days = settings.SESSION_COOKIE_AGE // SECONDS_A_DAY
        yield Step(
            _("End the handover"),
            ngettext(
                "When the rest is moved, or after %(days)d day, in which what has not come back "
                "expires: start without SESSION_HANDOVER_FROM.",
                "When the rest is moved, or after %(days)d days, in which what has not come back "
                "expires: start without SESSION_HANDOVER_FROM.",
                days,
            )
            % {"days": days},
            environment(self.new),
        )
        yield Step(
            _("Back again, if it must be"),
            _("A rollback is the same switch the other way round, at any time."),
            environment(self.old, self.new),
        )

    @property
    def readiness(self) -> str:
        """Of the new store."""
        return {
            DB: _("manage.py migrate has made the table django_session."),
            CACHE: _("CACHE_URL names a Redis or a memcached that all processes reach."),
            CACHED_DB: _(
                "manage.py migrate has made the table django_session, and CACHE_URL names a Redis "
                "or a memcached that all processes reach."
            ),
            FILE: _("SESSION_FILE_PATH is a folder that all processes may write to."),
            SIGNED_COOKIES: _(
                "There is none: SECRET_KEY signs the cookies. Whoever has one can read it, and it "
                "holds no more than 4,096 bytes."
            ),
        }[self.new]

    @property
    def rest(self) -> str:
        """About the sessions that do not come back by themselves."""
        if not self.keeps_the_key:
            return _(
                "Only a browser can bring or take a signed cookie, so there is nothing to do here: "
                "each is exchanged as it comes."
            )
        if {self.old, self.new} == SAME_ROWS:
            return _("There is none. This forgets the copies in the cache, if there are any.")
        return _(
            "At any time, as often as you like: it can be stopped and begun again, and leaves "
            "alone what the new store has already. Run before the switch it makes copies, and the "
            "originals count until they have been moved. What tells no keys, as memcached does, "
            "cannot be moved ahead: there each is moved as it is used."
        )

    @property
    def rest_command(self) -> str:
        if not self.keeps_the_key:
            return ""
        command = f"python manage.py movesessions --from {self.old} --to {self.new}"
        return (
            environment(self.new, self.old, f"{command} --dry-run")
            + "\n"
            + environment(self.new, self.old, command)
        )


def environment(profile: str, previous: str = "", command: str = "scripts/run") -> str:
    handover = f"SESSION_HANDOVER_FROM={previous} " if previous else ""
    return f"SESSION_PROFILE={profile} {handover}{command}"


@require_safe
@never_cache
def switch(request: HttpRequest) -> HttpResponse:
    running, handover_engine = running_engine.name(), previous()
    before = handover_engine.name if handover_engine else None
    form = SwitchForm(request.GET or suggested(running, before))
    explained = Switch(**form.cleaned_data) if form.is_valid() else None
    context = {
        "form": form,
        "switch": explained,
        "running": running,
        "former": before,
        "left": left_over(request),
    }
    status = HTTPStatus.OK if explained else HTTPStatus.BAD_REQUEST
    return render(request, "demo/switch.html", context, status=status)


def suggested(running: str, previous: str | None) -> dict[str, str]:
    """The switch that goes on, or one that the site could make."""
    if previous:
        return {"old": previous, "new": running}
    old = running if running in ENGINE_NAMES else DB
    return {"old": old, "new": CACHED_DB if old == CACHE else CACHE}


def left_over(request: HttpRequest) -> str:
    """How many sessions the former engine still holds, or why nobody knows; for staff only."""
    handover_engine = previous()
    if handover_engine is None or not request.user.has_perm(
        "cookieproj_engines.view_storedsession"
    ):
        return ""
    try:
        number = figure(handover_engine.store.count())
    except SessionStoreError as error:
        return str(error)
    return _("Left there, the expired among them: %(number)s.") % {"number": number}
