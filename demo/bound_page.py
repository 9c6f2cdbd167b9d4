"""The page about sessions that are bound to the browser's key, and what a thief makes of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from django.conf import settings
from django.core.checks import CheckMessage
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from cookieproj.devices import conf
from cookieproj.devices.bound.admission import seconds_of_grace
from cookieproj.devices.bound.binding import Binding, binding_of
from cookieproj.devices.bound.bound_cookie import BoundCookie, read_cookie, seconds_of_validity
from cookieproj.devices.bound.checks import obstacles
from cookieproj.devices.bound.decorators import proof_now

from .handshake import Exchange, Step, remembered
from .stolen_cookies import Theft, thefts
from .view_source import highlighted, source_of

SECONDS_A_DAY = 24 * 60 * 60

# What each step is, in the order in which they first come.
STEPS: dict[str, tuple[Promise, Promise]] = {
    Step.OFFER: (
        _("The site offers a binding"),
        _(
            "The response to the sign-in has a header with the algorithms that the site accepts, "
            "a path and a challenge. Browsers that do not know the header ignore it."
        ),
    ),
    Step.REGISTRATION: (
        _("The browser registers a key"),
        _(
            "It creates a pair of keys for this session alone, and signs the challenge with the "
            "private one. The proof contains the public one. The site keeps that in the session, "
            "sets the bound cookie, and says when and where to renew it."
        ),
    ),
    Step.CHALLENGE: (
        _("The site sends a challenge"),
        _(
            "The browser came without a proof, or with that of a challenge that is used or too "
            "old. It signs the new one."
        ),
    ),
    Step.RENEWAL: (
        _("The browser renews the bound cookie"),
        _(
            "Once the bound cookie has expired, the browser signs the last challenge before it "
            "sends anything else. Chromium does so with a request in the two minutes before, too. "
            "Each challenge counts once. The response has the next cookie and the next challenge."
        ),
    ),
    Step.DEMAND: (
        _("A page asks for a proof"),
        _(
            "The response deletes the bound cookie and leads back to the same page. The browser "
            "has to prove the key before it follows."
        ),
    ),
    Step.SKIPPED: (
        _("The browser could not renew the cookie"),
        _("It sends the request without the bound cookie, and says why."),
    ),
    Step.REFUSAL: (
        _("The site refuses a proof"),
        _("The key, the signature or the challenge is not that of this session."),
    ),
    Step.END: (
        _("The site ends an earlier binding"),
        _("The browser wanted to renew that of a session which it no longer has."),
    ),
}


@dataclass(frozen=True)
class Status:
    """What this site, this request and this session have of a binding."""

    request: HttpRequest

    @property
    def setting(self) -> str:
        """DEVICES_BOUND as it stands in the settings; empty if it is not set."""
        return str(getattr(settings, "DEVICES_BOUND", None) or "")

    @cached_property
    def obstacles(self) -> list[CheckMessage]:
        """What keeps a site that has set DEVICES_BOUND from binding sessions."""
        return list(obstacles()) if conf.binds_sessions() else []

    @property
    def is_secure(self) -> bool:
        return self.request.is_secure()

    @cached_property
    def binding(self) -> Binding | None:
        return binding_of(self.request.session) if conf.binds_sessions() else None

    @property
    def is_bound(self) -> bool:
        return bool(self.binding and self.binding.key)

    @property
    def registered(self) -> datetime | None:
        return moment(self.binding.registered) if self.binding else None

    @property
    def offered(self) -> datetime | None:
        return moment(self.binding.offered) if self.binding else None

    @cached_property
    def cookie(self) -> BoundCookie | None:
        """The bound cookie that opened the session."""
        return read_cookie(self.request.COOKIES, self.binding) if self.binding else None

    @property
    def expires(self) -> datetime | None:
        """When the browser drops the bound cookie."""
        return moment(self.cookie.issued + conf.bound_age()) if self.cookie else None

    @property
    def seconds_left(self) -> int:
        """Seconds until then."""
        return max(0, int(conf.bound_age() - self.cookie.age)) if self.cookie else 0

    @property
    def seconds_for_a_thief(self) -> int:
        """For how many seconds this site accepts a copy of the bound cookie."""
        return max(0, int(seconds_of_validity() - self.cookie.age)) if self.cookie else 0

    @property
    def steps(self) -> list[tuple[Promise, Promise, Exchange]]:
        """Title, explanation and exchange of each step that was seen, the newest last."""
        seen = remembered(self.binding) if self.binding and settings.DEBUG else []
        return [(*STEPS[exchange.step], exchange) for exchange in seen]


def moment(second: float) -> datetime:
    return datetime.fromtimestamp(second, UTC)


@require_safe
@never_cache
def bound(request: HttpRequest) -> HttpResponse:
    return render_bound(request)


@require_safe
@never_cache
@proof_now
def proof(request: HttpRequest) -> HttpResponse:
    return render_bound(request, is_let_in=True)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def steal(request: HttpRequest) -> HttpResponse:
    """Try copies of the visitor's own cookies, and show what they opened.

    A GET redirects to the card: changing the language leads back to this address.
    """
    if request.method != "POST":
        return redirect(f"{reverse('demo:bound')}#steal")
    is_possible = request.user.is_authenticated
    return render_bound(request, list(thefts(request)) if is_possible else [])


def render_bound(
    request: HttpRequest, tried: Sequence[Theft] = (), *, is_let_in: bool = False
) -> HttpResponse:
    """Render the page, with the outcome of ``steal`` or after ``proof`` has let the visitor in."""
    context = {
        "status": Status(request),
        "thefts": tried,
        "is_let_in": is_let_in,
        "source": highlighted(source_of(proof)),
        "is_signed_in": request.user.is_authenticated,
        "age": conf.bound_age(),
        "leeway": seconds_of_validity() - conf.bound_age(),
        "grace": seconds_of_grace(),
        "session_days": settings.SESSION_COOKIE_AGE // SECONDS_A_DAY,
        "debug": settings.DEBUG,
    }
    return render(request, "demo/bound.html", context)
