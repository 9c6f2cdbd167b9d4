from collections.abc import Callable

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render
from django.utils.cache import has_vary_header

GetResponse = Callable[[HttpRequest], HttpResponse]


class NulCookieMiddleware:
    """Take a cookie that holds a NUL as not sent.

    A quoted cookie can spell one (\\000), and PostgreSQL takes none in a text: as a
    session key it would make Django's db engine answer 500.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        for name in [name for name, value in request.COOKIES.items() if "\0" in value]:
            del request.COOKIES[name]
        return self.get_response(request)


class PrivateCacheMiddleware:
    """Let no shared cache keep what varies by cookie, unless the view itself says how long.

    A page that is not found may be kept, and says who is signed in. ``Vary`` says whose it
    is, but not every cache heeds that. Stands before whatever makes a page vary.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not response.has_header("Cache-Control") and has_vary_header(response, "Cookie"):
            response.headers["Cache-Control"] = "private"
        return response


class UnreadableFormMiddleware:
    """Answer a form (or query) that is too large or malformed with a page that says so, status 400.

    Stands before CsrfViewMiddleware, which is the first to read the form. Without
    this, DEBUG shows a stack trace for what is merely a wrong input.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            _ = request.GET, request.POST
        except (BadRequest, SuspiciousOperation, MultiPartParserError) as error:
            return render(request, "400.html", {"reason": str(error)}, status=400)
        return self.get_response(request)
