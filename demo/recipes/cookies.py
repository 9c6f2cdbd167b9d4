"""Setting a cookie: by name and value, with every attribute, on every kind of response."""

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

from demo.form_fields import CookieAttributeField, CookieNameField, MaxAgeField, MomentField

from .recipe import READS_OR_SETS_A_COOKIE, TextResponse, recipe


class NameForm(forms.Form):
    name = CookieNameField(initial="color")


class CookieForm(NameForm):
    value = forms.CharField(label=_("Value"), max_length=1000, initial="blue", strip=False)


class MaxAgeForm(CookieForm):
    max_age = MaxAgeField(initial=60)


class ExpiresForm(CookieForm):
    expires = MomentField(label="expires")


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


# RFC 6265, section 6.1, and RFC 6265bis, section 5.6.
MOST_BYTES = 4096


class LanguageForm(forms.Form):
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES, initial="zh-hans")


class SizeForm(NameForm):
    size = forms.IntegerField(
        label=_("Bytes"), initial=5000, min_value=1, max_value=8000, help_text=_("Of the value.")
    )


@recipe(
    _("Name and value"),
    _(
        "The least a cookie needs. With no age given it lives until the browser closes. "
        "A header is ASCII, so any other text is percent-encoded on its way out."
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
    _("Seconds to live, counted by the browser. Zero or less deletes the cookie at once."),
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
        "A moment to live until. From a datetime Django works out max-age too, "
        "so that a browser whose clock is wrong still gets it right."
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
        "When a browser gets both, max-age wins (RFC 6265, section 5.3). Django refuses "
        "max_age beside a datetime with a ValueError, so expires goes here as a header's text."
    ),
    form=BothForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def max_age_and_expires(
    request: HttpRequest, name: str, value: str, max_age: int, expires: datetime
) -> HttpResponse:
    response = TextResponse(f"{name} lives {max_age} seconds, whatever expires says.")
    response.set_cookie(
        name, quote(value, safe=""), max_age=max_age, expires=http_date(expires.timestamp())
    )
    return response


@recipe(
    _("Every attribute"),
    _(
        "path and domain say where the cookie is sent, secure that it travels by https only, "
        "httponly that no script reads it, samesite whether other sites' requests carry it. "
        "A browser drops a cookie for a domain that is not its page's, SameSite=None without "
        "Secure, and a name with __Secure-, __Host-, __Http- or __Host-Http- before it that lacks "
        "what the prefix asks for."
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
        "Set-Cookie is a header like any other. Written by hand nobody checks it for you, "
        "and response.headers keeps only one of a name. SimpleCookie writes it well."
    ),
    form=CookieForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def by_hand(request: HttpRequest, name: str, value: str) -> HttpResponse:
    cookie = SimpleCookie({name: quote(value, safe="")})
    response = TextResponse(f"{name} is set by a header of our own.")
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
    _("The browser keeps the cookie first and follows then, so the next page already gets it."),
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
        "LocaleMiddleware looks here first, and then at what the browser prefers, its "
        "Accept-Language header. The button above does the same by set_language."
    ),
    form=LanguageForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def language(request: HttpRequest, language: str) -> HttpResponse:
    response = TextResponse(f"From the next page on this site speaks {language}.")
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
        "RFC 6265 promises room for 4,096 bytes of name, value and attributes. Browsers today "
        "count name and value (RFC 6265bis), and drop what is larger without a word: "
        "the server is never told."
    ),
    form=SizeForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def too_large(request: HttpRequest, name: str, size: int) -> HttpResponse:
    response = HttpResponse(content_type="text/plain")
    response.set_cookie(name, "x" * size)
    pair = len(name) + size
    line = len(response.cookies[name].OutputString())
    response.write(f"Name and value have {pair:,} bytes, the whole line {line:,}: ")
    if pair > MOST_BYTES:
        response.write("browsers drop it.\n")
    elif line > MOST_BYTES:
        response.write("browsers keep it, but RFC 6265 does not promise that.\n")
    else:
        response.write("browsers keep it.\n")
    return response
