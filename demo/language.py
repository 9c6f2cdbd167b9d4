"""Choose the language of the site for this browser."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.i18n import set_language

from cookieproj.devices.decorators import require_post


# Django's CSRF token would set a cookie on every page, and visitors look at their cookies here.
@csrf_exempt
@require_post(page="demo:index")
def choose(request: HttpRequest) -> HttpResponse:
    """Store the language in Django's cookie, for a form on one of this site's own pages."""
    if not is_same_origin(request):
        raise PermissionDenied
    return set_language(request)


def is_same_origin(request: HttpRequest) -> bool:
    """Whether the browser says that a page of this site sends the request.

    Browsers send Sec-Fetch-Site over https and to localhost, and Origin with every POST. A page
    can forge neither (Fetch standard, forbidden request headers).
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("Origin") == f"{request.scheme}://{request.get_host()}"
