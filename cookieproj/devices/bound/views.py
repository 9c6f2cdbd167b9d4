"""The two views to which a browser sends its key and its proofs, by itself.

They are exempt from the CSRF check: a browser sends no token with its own requests. They change
nothing without a proof of a challenge that this site has sent to that browser.
"""

import json
import logging
from collections.abc import Callable
from http import HTTPStatus

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from cookieproj.devices import conf
from cookieproj.devices.copied_sessions import COPIED_ROW_ATTRIBUTE
from cookieproj.devices.user_model import signed_in_user
from cookieproj.engines import running_engine
from cookieproj.engines.admission import TAKES_PROOFS
from cookieproj.engines.decorators import passive
from cookieproj.engines.exceptions import SessionEndedError

from . import admission, bound_cookie, challenges, headers, proofs
from .binding import Binding, binding_of
from .demands import end_demands, purposes_for
from .registering import RENEW, note_in_registry, register_key, unbind
from .single_use import registered_key, use_challenge

View = Callable[[HttpRequest], HttpResponse]

logger = logging.getLogger(__name__)


def takes_proofs(view: View) -> View:
    """Make it a view for requests that the browser sends by itself.

    It opens a bound session without its cookie.
    """
    view = csrf_exempt(login_not_required(passive(never_cache(require_POST(view)))))
    setattr(view, TAKES_PROOFS, True)
    return view


@takes_proofs
def register(request: HttpRequest) -> HttpResponse:
    """Bind the session to the key in the proof, and set the bound cookie."""
    binding = binding_of(request.session)
    if binding is None or not signed_in_user(request).is_authenticated:
        leave_no_trace(request)
        return HttpResponse(status=HTTPStatus.NOT_FOUND)
    try:
        proof = proofs.verify(headers.text_in(request, headers.PROOF))
        bound = register_key(request, binding, proof)
    except proofs.ProofError as error:
        return refuse(request, error)
    except SessionEndedError:
        return HttpResponse(status=HTTPStatus.NOT_FOUND)
    if not running_engine.is_held_by_browser():
        leave_no_trace(request)
    return bound_response(request, bound, bound.used)


@takes_proofs
def renew(request: HttpRequest) -> HttpResponse:
    """Set the next bound cookie for a proof; without one, send a challenge.

    If the session has ended, the binding ends in the browser too. If sessions are not bound any
    more, a proof ends it in both: without one, a copy of the session cookie could end it wherever a
    server does not know the setting yet. If the store does not answer, the response is a 503, and
    the browser tries again.
    """
    session_id = headers.text_in(request, headers.SESSION_ID)
    binding = binding_of(request.session)
    key = registered_key(binding) if binding and binding.id == session_id else None
    if binding is None or key is None or not signed_in_user(request).is_authenticated:
        return end_response(request, session_id)
    if binding.key is None:
        binding = binding.with_key(key, binding.used)
    token = headers.text_in(request, headers.PROOF)
    if not token:
        return challenge_response(request, binding)
    try:
        return response_to_proof(request, binding, proofs.verify(token, key))
    except proofs.StaleChallengeError as error:
        log_refusal(request, error)
        return challenge_response(request, binding)
    except proofs.ProofError as error:
        return refuse(request, error)
    except SessionEndedError:
        return end_response(request, session_id)


def response_to_proof(request: HttpRequest, binding: Binding, proof: proofs.Proof) -> HttpResponse:
    """Use the proof up. Raises ProofError, SessionEndedError and StoreError."""
    moment = use_challenge(request, binding, proof)
    if not conf.binds_sessions():
        unbind(request, binding)
        if not running_engine.is_held_by_browser():
            leave_no_trace(request)
        return JsonResponse(headers.end(binding.id))
    if not binding.confirmed:
        note_in_registry(request, binding.with_confirmation())
    leave_no_trace(request)
    return bound_response(request, binding, moment)


def bound_response(request: HttpRequest, binding: Binding, moment: int) -> HttpResponse:
    """Return the response with a bound cookie, the next challenge, and the browser's instructions.

    ``moment`` is that of the challenge that was used.
    """
    response = HttpResponse(content_type="application/json")
    purposes = purposes_for(request, binding)
    cookie = bound_cookie.set_cookie(response, binding, moment, purposes)
    end_demands(request, response)
    origin = f"{request.scheme}://{request.get_host()}"
    response.write(json.dumps(headers.instructions(binding.id, reverse(RENEW), origin, cookie)))
    add_challenge(request, response, binding, after=moment)
    return response


def end_response(request: HttpRequest, session_id: str) -> HttpResponse:
    leave_no_trace(request)
    return JsonResponse(headers.end(session_id))


def challenge_response(request: HttpRequest, binding: Binding) -> HttpResponse:
    response = HttpResponse(status=HTTPStatus.FORBIDDEN)
    add_challenge(request, response, binding, after=binding.used)
    leave_no_trace(request)
    return response


def add_challenge(
    request: HttpRequest, response: HttpResponse, binding: Binding, *, after: int
) -> None:
    challenge = challenges.make(binding.id, request.get_host(), after)
    response.headers[headers.CHALLENGE] = headers.challenge(challenge, binding.id)


def refuse(request: HttpRequest, error: proofs.ProofError) -> HttpResponse:
    log_refusal(request, error)
    leave_no_trace(request)
    return HttpResponse(status=HTTPStatus.FORBIDDEN)


def log_refusal(request: HttpRequest, error: proofs.ProofError) -> None:
    fields = admission.log_fields(dict(request.session.items()))
    logger.warning("The proof of a device's key is refused: %s.", error, extra=fields)


def leave_no_trace(request: HttpRequest) -> None:
    """Let the response neither save the session nor note in the registry that it was used.

    What there is to store is stored. It is no activity of the user, and a request without a proof
    may come from another device. A session that the request has ended as copied is empty, and is
    still to be told of.
    """
    if not hasattr(request.session, COPIED_ROW_ATTRIBUTE):
        request.session = running_engine.store()()
