"""Who may replace a cookie: the prefix of its name, Secure, and subdomains."""

from urllib.parse import urlsplit

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.cookie_checks import PREFIXES
from demo.form_fields import CookieAttributeField, DomainField

from .local_names import recipe_of_subdomains
from .recipe import READS_OR_SETS_A_COOKIE, Subject, TextResponse, recipe


class PrefixForm(forms.Form):
    starts_with = forms.ChoiceField(
        label=gettext_lazy("Prefix"),
        choices=[(prefix, prefix) for prefix in reversed(PREFIXES)],
        initial="__Host-",
    )
    secure = forms.BooleanField(label="secure", required=False)
    httponly = forms.BooleanField(label="httponly", required=False)
    path = CookieAttributeField(label="path", max_length=200, initial="/", required=False)
    domain = DomainField(required=False)


class SecureForm(forms.Form):
    secure = forms.BooleanField(label="secure", required=False)


# Browsers resolve names below localhost to this machine. "localhost" itself is no domain for
# cookies, but "shop.localhost" is.
SHOP = "shop.localhost"
BLOG = f"blog.{SHOP}"


@recipe(
    gettext_lazy("Prefix and attributes"),
    gettext_lazy(
        "Attributes are not sent back, so a server cannot see them. A prefix of the name "
        "guarantees them: __Secure- needs Secure; __Http- needs Secure and HttpOnly, so no script "
        "can have set it; __Host- needs Secure, Path=/ and no Domain, so no other host can have "
        "set it; __Host-Http- needs all four. A browser that knows the prefix drops a cookie that "
        "lacks one of them. __Secure- and __Host- are in RFC 6265bis, the draft of the next cookie "
        "standard, the other two in the draft after it, draft-ietf-httpbis-layered-cookies. Secure "
        "needs https; over http Chromium accepts it only from addresses such as 127.0.0.1, which "
        "lead to the machine itself, from localhost and from names below localhost."
    ),
    form=PrefixForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def prefix(
    request: HttpRequest, starts_with: str, secure: bool, httponly: bool, path: str, domain: str
) -> HttpResponse:
    name = f"{starts_with}color"
    response = TextResponse(
        _("The response sets %(name)s. The browser keeps it if the attributes fit the prefix.")
        % {"name": name}
    )
    response.set_cookie(
        name, "blue", path=path, domain=domain or None, secure=secure, httponly=httponly
    )
    return response


@recipe(
    gettext_lazy("http cannot replace a Secure cookie"),
    gettext_lazy(
        "Run it with secure, then without. RFC 6265bis, the draft of the next cookie standard, "
        "says in section 5.7: a response over http may "
        "neither replace nor delete a Secure cookie, nor set one of the same name beside it, even "
        "from a subdomain. Chromium takes http for secure on addresses such as 127.0.0.1, "
        "on localhost and on names below localhost, so there the second run does replace the first "
        "cookie. On any other host the first cookie stays. "
        "To see that, serve the site over https and over http under a name of its own."
    ),
    form=SecureForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def secure_stays(request: HttpRequest, secure: bool) -> HttpResponse:
    value = "secure" if secure else "plain"
    if "guarded" in request.COOKIES:
        message = _(
            "Before: guarded=%(old)s. This response, over %(scheme)s, sets guarded=%(new)s."
        )
    else:
        message = _(
            "Before: no cookie guarded. This response, over %(scheme)s, sets guarded=%(new)s."
        )
    names = {"old": request.COOKIES.get("guarded"), "scheme": request.scheme, "new": value}
    response = TextResponse(message % names)
    response.set_cookie("guarded", value, secure=secure)
    return response


@recipe(
    gettext_lazy("A cookie from a subdomain"),
    gettext_lazy(
        "A host may set cookies for the domain above it, and then both receive them: "
        "blog.shop.localhost can put a cookie into the requests to shop.localhost (cookie "
        "tossing). The request does not say who set which. Both cookies have the name cart here, "
        "and Django takes the last one. The name __Host-cart cannot be tossed. Chromium leads "
        "every name below localhost to this machine; it keeps no cookie from such a name for the "
        "domain localhost itself."
    ),
    methods=READS_OR_SETS_A_COOKIE,
    works_on=Subject.NOTHING,
)
@recipe_of_subdomains
def subdomain(request: HttpRequest) -> HttpResponse:
    url = urlsplit(request.build_absolute_uri(request.path))
    pairs = [pair.strip() for pair in request.META.get("HTTP_COOKIE", "").split(";")]
    context = {
        "host": url.hostname,
        "carried": [pair for pair in pairs if pair.partition("=")[0] in ("cart", "__Host-cart")],
        "understood": request.COOKIES.get("cart"),
        "shop": url._replace(netloc=f"{SHOP}:{url.port or ''}").geturl(),
        "blog": url._replace(netloc=f"{BLOG}:{url.port or ''}").geturl(),
    }
    response = render(request, "demo/subdomain.html", context)
    if url.hostname == SHOP:
        response.set_cookie("cart", "from-the-shop")
        response.set_cookie("__Host-cart", "from-the-shop", secure=True)
    if url.hostname == BLOG:
        response.set_cookie("cart", "from-the-blog", domain=SHOP)
        response.set_cookie("__Host-cart", "from-the-blog", domain=SHOP, secure=True)
    return response
