"""Views of what every page of a signed-in user has: the sign-out button and the countdown."""

from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required, login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cookieproj.engines.decorators import passive

from .decorators import require_post
from .session_end import session_end

LIST = "cookieproj_devices:list"


@require_post(page=LIST)
@never_cache
def sign_out(request: HttpRequest) -> HttpResponse:
    """Sign out, and redirect to LOGOUT_REDIRECT_URL, by default to the sign-in page."""
    logout(request)
    return redirect(settings.LOGOUT_REDIRECT_URL or settings.LOGIN_URL)


@require_post(page=LIST)
@never_cache
@login_required
def stay(request: HttpRequest) -> HttpResponse:
    """Count as activity, and redirect to ``next`` if that is on this site."""
    request.session.modified = True
    url = request.POST.get("next", "")
    hosts = {request.get_host()}
    if not url_has_allowed_host_and_scheme(url, hosts, require_https=request.is_secure()):
        url = resolve_url(LIST)
    return HttpResponseRedirect(url)


# By a redirect of LoginRequiredMiddleware the script would learn nothing.
@login_not_required
@passive
@require_safe
@never_cache
def status(request: HttpRequest) -> JsonResponse:
    """Tell a page's script whose session this is, and when it ends. This is no activity."""
    user: Any = request.user
    if not user.is_authenticated:
        return JsonResponse({"user": None})
    facts: dict[str, Any] = {"user": str(user.pk)}
    if end := session_end(request):
        facts |= {"seconds": end.seconds, "is_absolute": end.is_absolute}
    return JsonResponse(facts)
