"""Come back from the payment page of another site by POST, and keep the session."""

from urllib.parse import urlencode

from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from demo.constants import ORDER_SALT, RECEIPT_SALT

from .local_names import local_recipe, only_local, other_origin, with_policy
from .recipe import CHANGES, Subject, recipe

WORKS_ON = Subject.SESSION

# How long a receipt and the cookie of an order are valid, in seconds.
PAYMENT_AGE = 20 * 60


@never_cache
@only_local
def shop(request: HttpRequest, way: str) -> HttpResponse:
    order = request.session.get("order")
    page = f"{other_origin(request)}{reverse(f'demo:payment-page-{way}')}"
    context = {
        "order": order,
        "paid": request.session.get("paid"),
        "payment_page": f"{page}?{urlencode({'order': order})}",
        "way": way,
    }
    return render(request, "demo/payment_shop.html", context)


# Stands in for the payment provider, and signs a receipt for any order, for anybody. A provider
# signs one only for what was paid. With its signature nobody else can say that an order is paid.
@never_cache
@only_local
def payment_page(request: HttpRequest, way: str) -> HttpResponse:
    target = other_origin(request)
    context = {
        "order": request.GET.get("order"),
        "receipt": signing.dumps(request.GET.get("order"), salt=RECEIPT_SALT),
        "back": f"{target}{reverse(f'demo:payment-back-{way}')}",
    }
    response = render(request, "demo/payment_page.html", context)
    return with_policy(response, form_action=f"'self' {target}")


def paid_order(receipt: str) -> str | None:
    try:
        order: str = signing.loads(receipt, salt=RECEIPT_SALT, max_age=PAYMENT_AGE)
    except signing.BadSignature:
        return None
    return order


# The provider has no CSRF token of this site. Its signature takes the token's place.
@csrf_exempt
@never_cache
@only_local
def back_lost(request: HttpRequest) -> HttpResponse:
    # The request has no session cookie, so this begins a new session, and the response replaces
    # the visitor's cookie with the new one.
    if order := paid_order(request.POST.get("receipt", "")):
        request.session["paid"] = order
    return redirect("demo:payment-shop-lost")


def begin_order(request: HttpRequest) -> str:
    """Put a new order into the session, without the payment of an earlier one."""
    request.session["order"] = order = get_random_string(6)
    request.session.pop("paid", None)
    return order


@recipe(
    _("The session is lost on the way back"),
    _(
        "The shop puts an order into your session, and a payment page of another site sends you "
        "back by a POST form. The session cookie has SameSite=Lax, as is Django's default, so "
        "this POST does not carry it. The view writes into request.session all the same: that "
        "begins a new session, whose cookie replaces yours. Your order is gone, and so is your "
        "sign-in."
    ),
    methods=CHANGES,
    helpers=(begin_order, back_lost, paid_order, shop, payment_page),
)
@local_recipe
def lost(request: HttpRequest) -> HttpResponse:
    begin_order(request)
    return redirect("demo:payment-shop-lost")


# It changes nothing, so it needs no CSRF token: it turns the POST into a GET of this site.
@csrf_exempt
@never_cache
@only_local
def back_landing(request: HttpRequest) -> HttpResponse:
    query = urlencode({"receipt": request.POST.get("receipt", "")})
    return HttpResponseRedirect(f"{reverse('demo:payment-receipt')}?{query}", status=303)


# A GET that writes. It only accepts a receipt of the provider for the order of this very session.
@never_cache
@only_local
def receipt(request: HttpRequest) -> HttpResponse:
    order = paid_order(request.GET.get("receipt", ""))
    if order and order == request.session.get("order"):
        request.session["paid"] = order
    return redirect("demo:payment-shop-landing")


@recipe(
    _("A landing keeps the session"),
    _(
        "The view for the POST writes nothing into the session, so its response sets no session "
        "cookie. It redirects with 303, and the browser follows with a GET, which carries a Lax "
        "cookie. It does not carry a Strict one, because the other site began the navigation. For "
        "that, answer with a page instead: a link or form on it is your own site's. Do not check "
        "the sign-in in the view for the POST: it would find nobody signed in."
    ),
    methods=CHANGES,
    helpers=(begin_order, back_landing, receipt, paid_order, shop, payment_page),
)
@local_recipe
def landing(request: HttpRequest) -> HttpResponse:
    begin_order(request)
    return redirect("demo:payment-shop-landing")


# The provider's signature takes the place of a CSRF token.
@csrf_exempt
@never_cache
@only_local
def back_cookie(request: HttpRequest) -> HttpResponse:
    order = request.get_signed_cookie("order", "", salt=ORDER_SALT, max_age=PAYMENT_AGE)
    is_paid = paid_order(request.POST.get("receipt", "")) == order != ""
    response = render(request, "demo/payment_back.html", {"order": order, "is_paid": is_paid})
    if is_paid:
        response.delete_cookie("order", path=request.path, samesite="None")
    return response


def set_order_cookie(response: HttpResponse, order: str) -> None:
    response.set_signed_cookie(
        "order",
        order,
        salt=ORDER_SALT,
        max_age=PAYMENT_AGE,
        path=reverse("demo:payment-back-order-cookie"),
        secure=True,
        httponly=True,
        samesite="None",
    )


@recipe(
    _("A cookie for the order alone"),
    _(
        "A second cookie has SameSite=None; Secure, so the POST carries it. It holds the id of the "
        "order and nothing else, is signed, is sent to one address only and lives for 20 minutes. "
        "The session cookie stays Lax: with SameSite=None, forms of every site could use it. A "
        "POST that opens a page is a navigation, so the cookie is sent even if the browser blocks "
        "third-party cookies."
    ),
    methods=CHANGES,
    helpers=(begin_order, set_order_cookie, back_cookie, paid_order, shop, payment_page),
    works_on=Subject.ORDER_COOKIE,
)
@local_recipe
def order_cookie(request: HttpRequest) -> HttpResponse:
    response = redirect("demo:payment-shop-order-cookie")
    set_order_cookie(response, begin_order(request))
    return response


PAGES = [
    path("payment/back-lost/", back_lost, name="payment-back-lost"),
    path("payment/back-landing/", back_landing, name="payment-back-landing"),
    path("payment/back-order-cookie/", back_cookie, name="payment-back-order-cookie"),
    path("payment/receipt/", receipt, name="payment-receipt"),
]
for way in ("lost", "landing", "order-cookie"):
    PAGES += [
        path(f"payment/shop-{way}/", shop, {"way": way}, name=f"payment-shop-{way}"),
        path(f"payment/page-{way}/", payment_page, {"way": way}, name=f"payment-page-{way}"),
    ]
