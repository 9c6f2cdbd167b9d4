"""Responses that are sent while they are made: what can still be set, and what is lost."""

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .recipe import CHANGES, READS_OR_SETS_A_COOKIE, Subject, recipe

PLAIN_TEXT = "text/plain; charset=utf-8"


@recipe(
    _("A cookie in the middle of a stream"),
    _(
        "Set-Cookie is a header, and headers are sent before the body. A cookie that the generator "
        "sets is lost, without an error."
    ),
    methods=READS_OR_SETS_A_COOKIE,
)
def late_cookie(request: HttpRequest) -> HttpResponseBase:
    text = gettext("early was set before the body, late during it. Only early arrives.")

    def body() -> Iterator[str]:
        response.set_cookie("late", "1")
        yield f"{text}\n"

    response = StreamingHttpResponse(body(), content_type=PLAIN_TEXT)
    response.set_cookie("early", "1")
    return response


@recipe(
    _("A session that is changed in a stream"),
    _(
        "SessionMiddleware saves the session before the body is sent. What the generator changes "
        "afterwards is never saved: run it twice, and the number is still 1. Django's own "
        "middleware does the same."
    ),
    methods=CHANGES,
    works_on=Subject.SESSION,
)
def unsaved(request: HttpRequest) -> HttpResponseBase:
    text = gettext("Lines streamed in this session: %(number)d")

    def body() -> Iterator[str]:
        number = request.session.get("unsaved_lines", 0) + 1
        request.session["unsaved_lines"] = number
        yield f"{text % {'number': number}}\n"

    return StreamingHttpResponse(body(), content_type=PLAIN_TEXT)


@recipe(
    _("A session that the stream saves"),
    _(
        "Begin the session before the body, because its cookie is a header, and call save() in the "
        "generator. Each run now adds one. An engine that keeps the session in a cookie cannot "
        "save it then: on signed_cookies and encrypted_cookies the number stays 1."
    ),
    methods=CHANGES,
    works_on=Subject.SESSION,
)
def saved(request: HttpRequest) -> HttpResponseBase:
    text = gettext("Lines streamed in this session: %(number)d")
    request.session.setdefault("saved_lines", 0)

    def body() -> Iterator[str]:
        request.session["saved_lines"] += 1
        request.session.save()
        yield f"{text % {'number': request.session['saved_lines']}}\n"

    return StreamingHttpResponse(body(), content_type=PLAIN_TEXT)
