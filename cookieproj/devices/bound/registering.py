"""Offers a binding at a sign-in or later, registers the browser's key, and confirms it."""

from functools import partial
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from cookieproj.devices import conf
from cookieproj.devices.constants import BINDING_ITEM
from cookieproj.devices.deferred_writes import try_write
from cookieproj.devices.models import SignedInSession
from cookieproj.devices.row_identity import registered_id
from cookieproj.engines import running_engine
from cookieproj.engines.admission import ADMISSION_ATTRIBUTE, TAKES_PROOFS
from cookieproj.engines.exceptions import HeldByClientError, SessionEndedError
from cookieproj.engines.renewal import keeping_expiry

from . import challenges, headers
from .admission import BoundAdmission
from .binding import Binding, binding_of, change_binding
from .proofs import Proof, ProofError
from .single_use import first_key, is_first_offer

# On a request whose response offers a binding: that binding.
OFFERED_ATTRIBUTE = "offered_binding"

# Seconds.
OFFER_INTERVAL = 300

# The ids of the sessions that this process has lately looked at.
recent_offers = LocMemCache("cookieproj.devices.bound", {"OPTIONS": {"MAX_ENTRIES": 10_000}})

REGISTER, RENEW = "cookieproj_devices:bound-register", "cookieproj_devices:bound-renew"


def offer(request: HttpRequest, user: Any) -> None:
    """Put a binding into the session of a user who has just signed in.

    A session that is bound already stays so: its user has only given the password once more. If
    the response with the first bound cookie was lost, this is another chance. Over http, where the
    response can offer nothing, it is stored only to end a session that has to be bound.
    """
    binding = binding_of(request.session)
    if binding and binding.confirmed:
        return
    policy = conf.bound(user)
    if policy is None or (policy == conf.OFFER and not request.is_secure()):
        request.session.pop(BINDING_ITEM, None)
        return
    offered = Binding.new(is_required=policy == conf.REQUIRE)
    request.session[BINDING_ITEM] = offered.as_item()
    setattr(request, OFFERED_ATTRIBUTE, offered)


def offer_late(request: HttpRequest, user: Any) -> None:
    """Offer a binding to a session that signed in before its user's sessions were to be bound.

    ``user`` is the one that the request has read, or None: then a later request offers the binding.
    So it does if another user has signed in since, and after a request over http, whose response
    can offer nothing. A browser that has not answered an offer gets another one only when it has
    to.
    """
    if not conf.binds_sessions() or not request.is_secure() or is_own_request_of_browser(request):
        return
    session = request.session
    if not is_session_of(session, user):
        return
    binding = binding_of(session)
    if (binding and (binding.key or binding.is_required)) or not claim_offer(session):
        return
    policy = conf.bound(user)
    if policy is None or (policy == conf.OFFER and binding):
        return
    offered = Binding.new(is_required=policy == conf.REQUIRE)
    if put_offer(session, binding, offered):
        setattr(request, OFFERED_ATTRIBUTE, offered)


def is_own_request_of_browser(request: HttpRequest) -> bool:
    """Whether it is for one of the two views to which the browser sends its key and its proofs."""
    match = request.resolver_match
    return match is not None and hasattr(match.func, TAKES_PROOFS)


def is_session_of(session: SessionBase, user: Any) -> bool:
    """Whether that user is signed in to the session now."""
    if user is None or not user.is_authenticated:
        return False
    return bool(session.get(SESSION_KEY) == user._meta.pk.value_to_string(user))


def claim_offer(session: SessionBase) -> bool:
    """Whether this process has not lately looked whether the session is to be bound.

    So a function in DEVICES_BOUND, which may make queries, is not called for each request.

    If only the browser has the session, no other process has either: of two offers in two cookies
    the later would replace the one that the browser has answered. Raises StoreUnavailableError.
    """
    row_id = registered_id(session)
    if row_id is None or not recent_offers.add(row_id, True, OFFER_INTERVAL):
        return False
    return not running_engine.is_held_by_browser() or is_first_offer(row_id, OFFER_INTERVAL)


def put_offer(session: Any, previous: Binding | None, offered: Binding) -> bool:
    """Store the offer in place of the previous one. Return False if another request was quicker."""
    was_modified = session.modified

    def replace_previous(item: Any) -> Any:
        stored = Binding.from_item(item) if item else None
        return offered.as_item() if stored == previous else item

    try:
        with keeping_expiry(session):
            session.apply(BINDING_ITEM, replace_previous, default=None)
    except HeldByClientError:
        session[BINDING_ITEM] = offered.as_item()
        return True
    except SessionEndedError:
        return False
    session.modified = was_modified
    return binding_of(session) == offered


def add_header(request: HttpRequest, response: HttpResponse) -> None:
    """Offer the binding to the browser, if its user is still signed in.

    Browsers bind over https alone.
    """
    binding: Binding | None = getattr(request, OFFERED_ATTRIBUTE, None)
    if binding and request.is_secure() and binding_of(request.session) == binding:
        challenge = challenges.make(binding.id, request.get_host(), after=0)
        response.headers[headers.REGISTRATION] = headers.registration(reverse(REGISTER), challenge)


def register_key(request: HttpRequest, binding: Binding, proof: Proof) -> Binding:
    """Store the key in the session, and return the binding with it.

    The same key may be registered again, as the response may have been lost. Raises ProofError if
    the session has another key, or the challenge is another one; SessionEndedError and StoreError.
    """
    moment = challenges.moment_of(proof.challenge, binding.id, request.get_host())

    def register(stored: Binding) -> Binding:
        if stored.confirmed or (stored.key and stored.key != proof.key):
            raise ProofError("the session has a key already")
        return stored.with_key(proof.key, moment)

    bound = register(binding)
    if not change_binding(request, binding, register):
        if first_key(binding, proof.key) != proof.key:
            raise ProofError("the session has a key already")
        # Only the browser has the session: with it, it gets the bound cookie.
        bound = bound.with_confirmation()
        request.session[BINDING_ITEM] = bound.as_item()
        note_in_registry(request, bound)
    return bound


def confirm(request: HttpRequest) -> None:
    """Note that the browser sends the bound cookie, at the first request with it.

    From then on the session does not open without one.
    """
    admission: BoundAdmission | None = getattr(request, ADMISSION_ATTRIBUTE, None)
    if not (admission and admission.cookie and admission.binding):
        return
    binding, cookie = admission.binding, admission.cookie
    if binding.confirmed or binding_of(request.session) != binding:
        return
    try:
        if not change_binding(request, binding, Binding.with_confirmation):
            # Only the browser has the session. A concurrent response has replaced the one with the
            # key, which the bound cookie has too.
            if cookie.key is None:
                return
            binding = binding.with_key(cookie.key, cookie.moment)
            request.session[BINDING_ITEM] = binding.with_confirmation().as_item()
    except SessionEndedError:
        return
    note_in_registry(request, binding.with_confirmation())


def unbind(request: HttpRequest, binding: Binding) -> None:
    """Remove the binding from the session. Raises SessionEndedError and StoreError."""
    if not change_binding(request, binding, lambda stored: None):
        request.session.pop(BINDING_ITEM, None)
    note_in_registry(request, None)


def note_in_registry(request: HttpRequest, binding: Binding | None) -> None:
    rows = SignedInSession.objects.filter(pk__in=[registered_id(request.session)])
    try_write(partial(rows.update, **columns_of(binding)))


def columns_of(binding: Binding | None) -> dict[str, Any]:
    """Return what the row of a session says of its binding."""
    if binding is None or not binding.confirmed:
        return {"bound_at": None, "bound_by": ""}
    return {"bound_at": binding.registered_at, "bound_by": binding.algorithm}
