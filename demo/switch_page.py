"""The page that explains, step by step, how to switch from one engine to another."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cookieproj.engines import running_engine
from cookieproj.engines.constants import (
    CACHE,
    CACHED_DB,
    DB,
    ENGINE_NAMES,
)
from cookieproj.engines.engine_registry import EngineRef
from cookieproj.engines.exceptions import SessionStoreError
from cookieproj.engines.handover import previous
from cookieproj.engines.session_counts import figure

from .switch_steps import Switch, old_cache_is_process_memory
from .wording import joined


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
            raise forms.ValidationError(
                _("These are the same engine: choose a different one to switch to.")
            )
        return data


@require_safe
@never_cache
def switch(request: HttpRequest) -> HttpResponse:
    running, previous_engine = running_engine.name(), previous()
    previous_name = previous_engine.name if previous_engine else None
    form = SwitchForm(request.GET or suggested_switch(running, previous_name))
    chosen = Switch(**form.cleaned_data) if form.is_valid() else None
    context = {
        "form": form,
        "switch": chosen,
        "running": running,
        "takes_over_from": source_of_handover(previous_engine),
        "exceptions": joined(exceptions()),
        "remaining": remaining_sessions(request),
        "number_of_engines": len(ENGINE_NAMES),
    }
    status = HTTPStatus.OK if chosen else HTTPStatus.BAD_REQUEST
    return render(request, "demo/switch.html", context, status=status)


def exceptions() -> Iterator[str]:
    """Yield what is not so of every two engines, with the settings of this site."""
    yield _("db and cached_db use the same rows: a switch between these two signs nobody out.")
    if old_cache_is_process_memory():
        yield _(
            "But sessions of cache are in the memory of this site's process now, as CACHE_URL "
            "names no server. They end with the process, so a switch from cache signs everybody "
            "out all the same."
        )


def source_of_handover(engine: EngineRef | None) -> str:
    """Return the name of the previous engine; "" if there is none, or its sessions have ended."""
    return "" if engine is None or engine.is_in_process_memory else engine.name


def suggested_switch(running: str, previous: str | None) -> dict[str, str]:
    """Return the switch that the site is making, or one that it could make."""
    if previous:
        return {"old": previous, "new": running}
    old = running if running in ENGINE_NAMES else DB
    return {"old": old, "new": CACHED_DB if old == CACHE else CACHE}


def remaining_sessions(request: HttpRequest) -> str:
    """Return a sentence on the number of sessions in the previous engine's store.

    If the store cannot count them, return its error. For users without permission return "".
    """
    previous_engine = previous()
    if previous_engine is None or not request.user.has_perm(
        "cookieproj_engines.view_storedsession"
    ):
        return ""
    try:
        number = figure(previous_engine.store.count())
    except SessionStoreError as error:
        return str(error)
    return _("Sessions left in its store, including expired ones: %(number)s.") % {"number": number}
