"""This site with one more address, which answers with any Set-Cookie lines: a WSGI module.

``/lines/?line=…&line=…&then=…`` sends each line, and redirects to ``then``, if given. With
``clear=…`` it sends the header Clear-Site-Data.
"""

import os
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.quick"
application = get_wsgi_application()

from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

from cookieproj import urls  # noqa: E402


class Line(str):
    """A cookie of a response that is written as it is."""

    __slots__ = ()

    def OutputString(self) -> str:  # noqa: N802
        return str(self)

    def output(self, header: str) -> str:
        return f"{header} {self}"


def lines(request: HttpRequest) -> HttpResponse:
    then = request.GET.get("then")
    response = HttpResponse(status=302 if then else 200, content_type="text/plain")
    if then:
        response.headers["Location"] = then
    if clear := request.GET.get("clear"):
        response.headers["Clear-Site-Data"] = clear
    cookies: dict[str, Any] = response.cookies
    for number, line in enumerate(request.GET.getlist("line")):
        # SimpleCookie's own method accepts only what Django would write.
        dict.__setitem__(cookies, str(number), Line(line))
    return response


root: list[Any] = urls.urlpatterns
root.append(path("lines/", lines))
