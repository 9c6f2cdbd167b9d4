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
from django.utils import timezone
from django.utils.http import http_date
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from cookieproj.engines.cookie_settings import MAX_COOKIE_BYTES
from demo.cookie_limits import BROWSER_LIMIT, ENGINE_LIMIT, pair_bytes
from demo.form_fields import (
    CookieAttributeField,
    CookieNameField,
    DomainField,
    ExpiryField,
    MaxAgeField,
)
from demo.wording import lazily_joined

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
    domain = DomainField(required=False)
    secure = forms.BooleanField(label="secure", required=False)
    httponly = forms.BooleanField(label="httponly", required=False)
    samesite = forms.ChoiceField(
        label="samesite",
        initial="Lax",
        choices=[("Lax", "Lax"), ("Strict", "Strict"), ("None", "None"), ("", _("not given"))],
        required=False,
    )


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


def lifetime(name: str, seconds: int) -> str:
    """Say what a cookie's max_age does."""
    if seconds <= 0:
        message = gettext("The response deletes %(name)s: its age is zero or less.")
    else:
        message = ngettext(
            "The response sets %(name)s for %(seconds)d second.",
            "The response sets %(name)s for %(seconds)d seconds.",
            seconds,
        )
    return message % {"name": name, "seconds": seconds}


@recipe(
    _("Name and value"),
    _(
        "A cookie needs only a name and a value. Without an age it lasts until the browser "
        "closes, and longer if the browser restores its tabs. A value may only contain ASCII, so "
        "this view percent-encodes it with quote(): Django does not."
    ),
    form=CookieForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def set_cookie(request: HttpRequest, name: str, value: str) -> HttpResponse:
    message = gettext("The response sets %(name)s until the browser closes.")
    response = TextResponse(message % {"name": name})
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
    helpers=(lifetime,),
)
def max_age(request: HttpRequest, name: str, value: str, max_age: int) -> HttpResponse:
    response = TextResponse(lifetime(name, max_age))
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
    if expires > timezone.now():
        message = gettext("The response sets %(name)s until %(time)s UTC.")
    else:
        message = gettext("The response deletes %(name)s: %(time)s UTC is in the past.")
    response = TextResponse(message % {"name": name, "time": f"{expires:%Y-%m-%d %H:%M}"})
    response.set_cookie(name, quote(value, safe=""), expires=expires)
    return response


@recipe(
    _("max_age and expires"),
    _(
        "If a response has both, max-age wins (RFC 6265, section 5.3). Django raises ValueError "
        "for max_age together with a datetime, so this recipe passes expires as text."
    ),
    form=BothForm,
    methods=READS_OR_SETS_A_COOKIE,
    helpers=(lifetime,),
)
def max_age_and_expires(
    request: HttpRequest, name: str, value: str, max_age: int, expires: datetime
) -> HttpResponse:
    wins = gettext("max_age wins over expires.")
    response = TextResponse(f"{lifetime(name, max_age)}\n{wins}")
    response.set_cookie(
        name, quote(value, safe=""), max_age=max_age, expires=http_date(expires.timestamp())
    )
    return response


@recipe(
    _("Every attribute"),
    _(
        "path limits the cookie to the addresses below it, and domain adds the subdomains. secure "
        "limits it to https, and httponly hides it from scripts. samesite decides whether requests "
        "from other sites send it. A path that does not begin with “/” is ignored: the folder of "
        "this address takes its place (RFC 6265, section 5.2.4). A browser drops a cookie for a "
        "domain that does not match the page, a cookie with SameSite=None but without Secure "
        "(Chrome and Edge), and a name with the prefix __Secure-, __Host-, __Http- or "
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
    message = gettext(
        "The response sets %(name)s with your attributes. The browser decides whether to keep it."
    )
    response = TextResponse(message % {"name": name})
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
    message = gettext("The response sets %(name)s by a header written by hand.")
    response = TextResponse(message % {"name": name})
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
        "LocaleMiddleware prefers this cookie to the browser's Accept-Language header. The button "
        "at the top of every page sets the same cookie with Django's set_language. The page that "
        "you see stays as it is until you load it again. Run the recipe again with English, or use "
        "that button, to change it back."
    ),
    form=LanguageForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def language(request: HttpRequest, language: str) -> HttpResponse:
    message = gettext("The next page is in this language: %(language)s.")
    response = TextResponse(message % {"language": dict(settings.LANGUAGES)[language]})
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        samesite="Lax",
    )
    return response


@recipe(
    _("Over 4,096 bytes"),
    lazily_joined(
        [
            BROWSER_LIMIT,
            _("An older cookie of that name stays."),
            ENGINE_LIMIT,
        ]
    ),
    form=SizeForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def too_large(request: HttpRequest, name: str, size: int) -> HttpResponse:
    response = HttpResponse(content_type="text/plain; charset=utf-8")
    response.set_cookie(name, "x" * size)
    size_of_pair = pair_bytes(name, "x" * size)
    line_bytes = len(response.cookies[name].OutputString())
    if size_of_pair > MAX_COOKIE_BYTES:
        message = gettext(
            "%(pair)d bytes of name and value, %(line)d with the attributes: browsers drop it."
        )
    elif line_bytes > MAX_COOKIE_BYTES:
        message = gettext(
            "%(pair)d bytes of name and value, %(line)d with the attributes: browsers keep it, but "
            "RFC 6265 does not ask them to."
        )
    else:
        message = gettext(
            "%(pair)d bytes of name and value, %(line)d with the attributes: browsers keep it."
        )
    response.write(f"{message % {'pair': size_of_pair, 'line': line_bytes}}\n")
    return response
