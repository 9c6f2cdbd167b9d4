from collections.abc import Callable

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from django.utils.cache import has_vary_header

GetResponse = Callable[[HttpRequest], HttpResponse]


class NulCookieMiddleware:
    """Ignore a cookie that contains a NUL character.

    A quoted cookie can contain NUL (\\000), which PostgreSQL accepts in no text. As a session key
    it would make Django's db engine answer 500.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        for name in [name for name, value in request.COOKIES.items() if "\0" in value]:
            del request.COOKIES[name]
        return self.get_response(request)


class PrivateCacheMiddleware:
    """Forbid shared caches to store a response that varies by cookie, unless the view allows it.

    A cache may store a 404 page, and ours shows who is signed in. Not every cache respects
    ``Vary``. This must come before any middleware that makes a response vary.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not response.has_header("Cache-Control") and has_vary_header(response, "Cookie"):
            response.headers["Cache-Control"] = "private"
        return response


class UnreadableFormMiddleware:
    """Answer a form or query that is too large or malformed with a 400 page that says why.

    This must come before CsrfViewMiddleware, which reads the form first. Without it, DEBUG shows
    a stack trace for wrong input.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            _ = request.GET, request.POST
        except (BadRequest, SuspiciousOperation, MultiPartParserError) as error:
            return render(request, "400.html", {"reason": str(error)}, status=400)
        return self.get_response(request)
