"""Set a cookie: by name and value, with every attribute, on every kind of response."""

from datetime import datetime
from http.cookies import SimpleCookie
from typing import Literal
from urllib.parse import quote

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import http_date
from django.utils.translation import gettext_lazy as _

from demo.form_fields import CookieAttributeField, CookieNameField, ExpiryField, MaxAgeField

from .recipe import READS_OR_SETS_A_COOKIE, TextResponse, recipe


class NameForm(forms.Form):
    name = CookieNameField(initial="color")


class CookieForm(NameForm):
    value = forms.CharField(label=_("Value"), max_length=1000, initial="blue", strip=False)


class MaxAgeForm(CookieForm):
    max_age = MaxAgeField(initial=60)


class ExpiresForm(CookieForm):
    expires = ExpiryField(label="expires")


class BothForm(MaxAgeForm, ExpiresForm):
    pass


class AttributesForm(MaxAgeForm):
    path = CookieAttributeField(label="path", max_length=200, initial="/")
    domain = CookieAttributeField(label="domain", max_length=200, required=False)
    secure = forms.BooleanField(label="secure", required=False)
    httponly = forms.BooleanField(label="httponly", required=False)
    samesite = forms.ChoiceField(
        label="samesite",
        initial="Lax",
        choices=[("Lax", "Lax"), ("Strict", "Strict"), ("None", "None"), ("", _("not given"))],
        required=False,
    )


# The largest cookie: RFC 6265, section 6.1, and RFC 6265bis, section 5.6.
MAX_COOKIE_BYTES = 4096


class LanguageForm(forms.Form):
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES, initial="zh-hans")


class SizeForm(NameForm):
    size = forms.IntegerField(
        label=_("Bytes"),
        initial=5000,
        min_value=1,
        max_value=8000,
        help_text=_("Length of the value."),
    )


@recipe(
    _("Name and value"),
    _(
        "A cookie needs only a name and a value. Without an age it lasts until the browser "
        "closes. A header is ASCII, so other text is percent-encoded."
    ),
    form=CookieForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def set_cookie(request: HttpRequest, name: str, value: str) -> HttpResponse:
    response = TextResponse(f"{name} is set until the browser closes.")
    response.set_cookie(name, quote(value, safe=""))
    return response


@recipe(
    "max_age",
    _(
        "The cookie's lifetime in seconds, counted by the browser. Zero or less deletes the "
        "cookie at once."
    ),
    form=MaxAgeForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def max_age(request: HttpRequest, name: str, value: str, max_age: int) -> HttpResponse:
    response = TextResponse(f"{name} is set for {max_age} seconds.")
    response.set_cookie(name, quote(value, safe=""), max_age=max_age)
    return response


@recipe(
    "expires",
    _(
        "The time at which the cookie expires. From a datetime Django also computes max-age, so a "
        "wrong clock in the browser does no harm."
    ),
    form=ExpiresForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def expires(request: HttpRequest, name: str, value: str, expires: datetime) -> HttpResponse:
    response = TextResponse(f"{name} is set until {expires:%Y-%m-%d %H:%M} UTC.")
    response.set_cookie(name, quote(value, safe=""), expires=expires)
    return response


@recipe(
    _("max_age and expires"),
    _(
        "If a browser gets both, max-age wins (RFC 6265, section 5.3). Django raises ValueError "
        "for max_age together with a datetime, so this recipe passes expires as text."
    ),
    form=BothForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def max_age_and_expires(
    request: HttpRequest, name: str, value: str, max_age: int, expires: datetime
) -> HttpResponse:
    response = TextResponse(f"{name} is set for {max_age} seconds: max_age wins over expires.")
    response.set_cookie(
        name, quote(value, safe=""), max_age=max_age, expires=http_date(expires.timestamp())
    )
    return response


@recipe(
    _("Every attribute"),
    _(
        "path and domain limit where the cookie is sent. secure limits it to https, and httponly "
        "hides it from scripts. samesite decides whether cross-site requests send it. A browser "
        "drops a cookie for a domain that does not match the page, a cookie with SameSite=None "
        "but without Secure, and a name with the prefix __Secure-, __Host-, __Http- or "
        "__Host-Http- that lacks what the prefix requires."
    ),
    form=AttributesForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def attributes(
    request: HttpRequest,
    name: str,
    value: str,
    max_age: int,
    path: str,
    domain: str,
    secure: bool,
    httponly: bool,
    samesite: Literal["Lax", "Strict", "None", ""],
) -> HttpResponse:
    response = TextResponse(f"{name} is set with the attributes you chose.")
    response.set_cookie(
        name,
        quote(value, safe=""),
        max_age=max_age,
        path=path,
        domain=domain or None,
        secure=secure,
        httponly=httponly,
        samesite=samesite or None,
    )
    return response


@recipe(
    _("By hand"),
    _(
        "Set-Cookie is a header like any other. If you write it by hand, nothing checks it, and "
        "response.headers keeps only one header of each name. SimpleCookie writes it correctly."
    ),
    form=CookieForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def by_hand(request: HttpRequest, name: str, value: str) -> HttpResponse:
    cookie = SimpleCookie({name: quote(value, safe="")})
    response = TextResponse(f"{name} is set by a header written by hand.")
    response.headers["Set-Cookie"] = f"{cookie[name].OutputString()}; Path=/; SameSite=Lax"
    return response


@recipe(
    _("On a rendered template"),
    _("render() returns a response like any other: set the cookie on it before you return it."),
    form=CookieForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def on_a_template(request: HttpRequest, name: str, value: str) -> HttpResponse:
    response = render(request, "demo/cookie_set.html", {"name": name, "value": value})
    response.set_cookie(name, quote(value, safe=""))
    return response


@recipe(
    _("On JSON"),
    _("A cookie belongs to the response, not to HTML: an API sets it the same way."),
    form=CookieForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def on_json(request: HttpRequest, name: str, value: str) -> HttpResponse:
    response = JsonResponse({"name": name, "value": value})
    response.set_cookie(name, quote(value, safe=""))
    return response


@recipe(
    _("On a redirect"),
    _(
        "The browser stores the cookie before it follows the redirect, so the next page already "
        "receives it."
    ),
    form=CookieForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def on_a_redirect(request: HttpRequest, name: str, value: str) -> HttpResponse:
    response = HttpResponseRedirect(reverse("demo:reading/all-cookies"))
    response.set_cookie(name, quote(value, safe=""))
    return response


@recipe(
    _("Django's language cookie"),
    _(
        "LocaleMiddleware reads this cookie first, and then the browser's Accept-Language header. "
        "The button at the top of the page sets the same cookie through set_language."
    ),
    form=LanguageForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def language(request: HttpRequest, language: str) -> HttpResponse:
    response = TextResponse(f"The next page is in {language}.")
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        samesite="Lax",
    )
    return response


@recipe(
    _("Over 4,096 bytes"),
    _(
        "RFC 6265 guarantees 4,096 bytes for name, value and attributes together. Today's "
        "browsers count only name and value (RFC 6265bis), and silently drop a larger cookie: the "
        "server never learns of it."
    ),
    form=SizeForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def too_large(request: HttpRequest, name: str, size: int) -> HttpResponse:
    response = HttpResponse(content_type="text/plain")
    response.set_cookie(name, "x" * size)
    pair_bytes = len(name) + size
    line_bytes = len(response.cookies[name].OutputString())
    response.write(f"Name and value have {pair_bytes:,} bytes, the whole line {line_bytes:,}: ")
    if pair_bytes > MAX_COOKIE_BYTES:
        response.write("browsers drop it.\n")
    elif line_bytes > MAX_COOKIE_BYTES:
        response.write("browsers keep it, but RFC 6265 does not guarantee that.\n")
    else:
        response.write("browsers keep it.\n")
    return response
