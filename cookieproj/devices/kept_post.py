"""Keeps a request in hidden fields of the page that asks for the password, to be answered after."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, QueryDict

# The fields of the page. One of the last two is there unless the request was a GET.
PASSWORD_FIELD = "cookieproj_devices-password"  # noqa: S105
# The whole form as one text. So no field of the page has the name of one of the form, and no
# browser changes a line break or a NUL in it.
KEPT_FIELD = "cookieproj_devices-kept"
NOT_KEPT_FIELD = "cookieproj_devices-not-kept"

SAFE_METHODS = ("GET", "HEAD")
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")

# Bytes of the text, which goes to the browser and back with each try.
MAX_KEPT = 1_000_000
# Bytes of the other fields of the page.
RESERVED = 10_000


@dataclass(frozen=True)
class LostFiles:
    """The files of one field. No page can keep them, so they are chosen again."""

    field: str
    names: list[str]


def is_answer(request: HttpRequest) -> bool:
    """Whether the request is the form of the page that asks for the password."""
    return PASSWORD_FIELD in request.POST


def hidden_fields(request: HttpRequest) -> dict[str, str]:
    """Return the hidden fields, by name, with which the page keeps the request."""
    if is_answer(request):
        return {
            name: request.POST[name]
            for name in (KEPT_FIELD, NOT_KEPT_FIELD)
            if name in request.POST
        }
    if request.method in SAFE_METHODS:
        return {}
    text = text_of_post(request)
    return {NOT_KEPT_FIELD: "yes"} if text is None else {KEPT_FIELD: text}


def text_of_post(request: HttpRequest) -> str | None:
    """Return all values of all fields of the request's form, except for its CSRF token.

    Return None if the request is no form, or its text is longer than MAX_KEPT or
    DATA_UPLOAD_MAX_MEMORY_SIZE allow.
    """
    has_body = request.META.get("CONTENT_LENGTH") not in {None, "", "0"}
    if request.method != "POST" or (has_body and request.content_type not in FORM_TYPES):
        return None
    fields: list[tuple[Any, Any]] = list(request.POST.lists())
    kept = [field for field in fields if field[0] != "csrfmiddlewaretoken"]
    # Some charsets have surrogates, which are no characters of UTF-8.
    text = urlencode(kept, doseq=True, errors="replace")
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    limit = MAX_KEPT if most is None else min(MAX_KEPT, most - RESERVED)
    return text if len(text) <= limit else None


def lost_files(request: HttpRequest) -> list[LostFiles]:
    return [
        LostFiles(str(field), [str(file.name) for file in files])
        for field, files in request.FILES.lists()
    ]


def restore_post(request: HttpRequest) -> None:
    """Make the kept form the POST of the request. Its files are those that were chosen again."""
    request.POST = QueryDict(request.POST[KEPT_FIELD], encoding="utf-8")
