"""``proof_now``: a view that asks the device for a proof, and its user for nothing."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers

from cookieproj.devices import conf
from cookieproj.devices.models import SignedInSession
from cookieproj.devices.page_urls import own_url
from cookieproj.devices.row_identity import registered_id
from cookieproj.engines import running_engine

from . import headers
from .binding import binding_of
from .bound_cookie import read_cookie
from .demands import Demand, attempts_for, demand_proof, purpose_of
from .pages import is_link_of_another_site, not_proven, reload_from_here, try_again
from .proofs import StaleChallengeError
from .single_use import spend_proof

View = Callable[..., Any]

# A browser may have been renewing its cookie when it was asked, and then sends that proof first.
MAX_ATTEMPTS = 8

# Seconds for which a proof that a view has demanded admits its request.
PROOF_AGE = 30


def proof_now(view: View) -> View:
    """Admit a bound session only with a proof of its key that was demanded just now.

    The first response is a redirect (307) to the view itself, which deletes the bound cookie. The
    browser proves its key before it follows, and sends a POST again with its body. So a copied
    cookie is refused at once, even while the bound cookie is valid. A proof admits one request,
    with the method, the path and the query for which it was demanded.

    Sessions that are not bound are admitted: combine it with ``recently_authenticated`` for their
    users. The view may be async.
    """

    @wraps(view)
    def proven(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = response_unless_proven(request)
        return view(request, *args, **kwargs) if response is None else response

    @wraps(view)
    async def aproven(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = await sync_to_async(response_unless_proven)(request)
        return await view(request, *args, **kwargs) if response is None else response

    return aproven if iscoroutinefunction(view) else proven


def is_from_before_registration(request: HttpRequest) -> bool:
    """Whether the session cookie is the session itself, and older than its binding.

    Its row says so. Sessions on a server know it themselves.
    """
    if not (conf.binds_sessions() and running_engine.is_held_by_browser()):
        return False
    rows = SignedInSession.objects.filter(pk__in=[registered_id(request.session)])
    return rows.exclude(bound_at=None).exists()


def response_unless_proven(request: HttpRequest) -> HttpResponse | None:
    """Return None if the view may answer the request, or a response to send in its place."""
    binding = binding_of(request.session) if conf.binds_sessions() else None
    cookie = read_cookie(request.COOKIES, binding) if binding else None
    is_bound = binding and (binding.confirmed or cookie)
    if not is_bound and not is_from_before_registration(request):
        return None
    if headers.SKIPPED in request.headers:
        return try_again(request)
    if is_link_of_another_site(request):
        return reload_from_here(request)
    purpose = purpose_of(request)
    if binding and cookie and purpose in cookie.purposes and cookie.age < PROOF_AGE:
        try:
            spend_proof(request, binding, cookie, purpose)
        except StaleChallengeError:
            pass
        else:
            return None
    attempts = attempts_for(request, purpose)
    if binding is None or attempts >= MAX_ATTEMPTS:
        return not_proven(request)
    response = HttpResponse(status=HTTPStatus.TEMPORARY_REDIRECT)
    response.headers["Location"] = own_url(request)
    demand_proof(request, response, Demand(binding.id, purpose, attempts + 1))
    add_never_cache_headers(response)
    return response
