"""In which language the site speaks to this browser."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.i18n import set_language

from cookieproj.devices.decorators import require_post


# Django's token would be a cookie on every page, where people look at what cookies there are.
@csrf_exempt
@require_post(page="demo:index")
def choose(request: HttpRequest) -> HttpResponse:
    """Remember the language in Django's cookie, for a form of this site's own pages."""
    if not is_from_here(request):
        raise PermissionDenied
    return set_language(request)


def is_from_here(request: HttpRequest) -> bool:
    """Whether one of this site's own pages sends it, as the browser says.

    Browsers send Sec-Fetch-Site over https and to this machine itself, and Origin with
    every POST; a page can forge neither (Fetch standard, forbidden request headers).
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("Origin") == f"{request.scheme}://{request.get_host()}"
