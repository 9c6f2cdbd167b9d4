"""Sign cookies: anybody can read them, nobody can change them."""

import zlib
from urllib.parse import quote, unquote

from django import forms
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from django.http import HttpRequest, HttpResponse
from django.utils.http import urlsafe_base64_decode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cookieproj.engines import encrypted_cookies, signed_cookies
from cookieproj.engines.constants import ENCRYPTED_COOKIE_PREFIX
from demo.form_fields import CookieNameField

from .cookies import CookieForm, NameForm
from .recipe import READS_OR_SETS_A_COOKIE, Subject, TextResponse, recipe

WORKS_ON = Subject.SIGNED_COOKIE


class SaltForm(forms.Form):
    salt = forms.CharField(label=_("Salt"), max_length=100, initial="recipe")


class SignForm(SaltForm, CookieForm):
    pass


class ReadForm(SaltForm, NameForm):
    max_age = forms.IntegerField(
        label="max_age",
        initial=3600,
        min_value=0,
        max_value=400 * 24 * 60 * 60,
        help_text=_("Seconds that a signature is valid; with 0 every cookie has expired."),
    )


class KeysForm(forms.Form):
    # Not the cookie of the recipes above, which another key has signed.
    name = CookieNameField(initial="flavor")
    forget = forms.BooleanField(
        label=_("Leave the old key out of SECRET_KEY_FALLBACKS"), required=False
    )


@recipe(
    _("Sign"),
    _(
        "The cookie contains the value, the time and a signature made with SECRET_KEY, the "
        "cookie's name and the salt. Because of the salt, a value signed for one purpose cannot "
        "be used for another."
    ),
    form=SignForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def sign(request: HttpRequest, name: str, value: str, salt: str) -> HttpResponse:
    response = TextResponse(gettext("The response sets %(name)s, signed.") % {"name": name})
    response.set_signed_cookie(name, quote(value, safe=""), salt=salt)
    return response


@recipe(
    _("Read, with salt and max_age"),
    _(
        "Reading can fail in three ways, each with its own exception. Try another salt, try "
        "max_age 0, or change the cookie with the next recipe and come back."
    ),
    form=ReadForm,
)
def read(request: HttpRequest, name: str, salt: str, max_age: int) -> HttpResponse:
    try:
        value = str(request.get_signed_cookie(name, salt=salt, max_age=max_age))
    except KeyError:
        message = gettext("KeyError: this browser sent no cookie %(name)s.")
        return TextResponse(message % {"name": name})
    except SignatureExpired as error:
        return TextResponse(f"SignatureExpired: {error}", status=400)
    except BadSignature as error:
        return TextResponse(f"BadSignature: {error}", status=400)
    return TextResponse(gettext("%(name)s is %(value)s") % {"name": name, "value": unquote(value)})


@recipe(
    _("Change a signed value"),
    _(
        "Changes the first character of the cookie, as anybody can do in the browser. The recipe "
        "above then refuses to read it. Sign again to repair it."
    ),
    form=NameForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def change(request: HttpRequest, name: str) -> HttpResponse:
    signed = request.COOKIES.get(name, "")
    if not signed:
        message = gettext("This browser sent no cookie %(name)s to change: sign one first.")
        return TextResponse(message % {"name": name})
    changed = ("y" if signed[0] == "x" else "x") + signed[1:]
    message = gettext("The response changes the first character of %(name)s, and nothing else.")
    response = TextResponse(message % {"name": name})
    response.set_cookie(name, quote(changed, safe=":%"))
    return response


@recipe(
    _("Beside an encrypted cookie"),
    _(
        "Makes two session cookies of the same value, as the engines signed_cookies and "
        "encrypted_cookies do, and prints what anybody can read of each without a secret: all of "
        "the signed one, and only the length of the encrypted one. It sets neither."
    ),
    form=CookieForm,
    methods=READS_OR_SETS_A_COOKIE,
    works_on=Subject.NOTHING,
)
def beside_an_encrypted_cookie(request: HttpRequest, name: str, value: str) -> HttpResponse:
    lines = []
    for engine in (signed_cookies, encrypted_cookies):
        session = engine.SessionStore()
        session[name] = value
        session.save()
        cookie = session.session_key or ""
        payload = cookie.removeprefix(ENCRYPTED_COOKIE_PREFIX).removeprefix(".").partition(":")[0]
        text = urlsafe_base64_decode(payload)
        if cookie.startswith("."):
            text = zlib.decompress(text)
        message = gettext("%(engine)s, %(number)d characters: %(text)r")
        engine_name = engine.__name__.rpartition(".")[2]
        lines.append(message % {"engine": engine_name, "number": len(cookie), "text": text})
    return TextResponse("\n".join(lines))


@recipe(
    _("Change the secret key"),
    _(
        "The first run signs a cookie with an old key. The second run reads it with a new key, "
        "while SECRET_KEY_FALLBACKS keeps the old one, and signs it again with the new key. Now "
        "delete the cookie flavor with the recipe Delete, and run this twice without the old key: "
        "on a real site that signs everybody out."
    ),
    form=KeysForm,
    methods=READS_OR_SETS_A_COOKIE,
    works_on=Subject.COOKIE_WITH_OWN_KEY,
)
def change_the_key(request: HttpRequest, name: str, forget: bool) -> HttpResponse:
    old, new = "the key of last year", "the key of this year"
    signed = request.COOKIES.get(name)
    if signed is None:
        message = gettext("The response sets %(name)s, signed with the old key. Run this again.")
        response = TextResponse(message % {"name": name})
        response.set_cookie(name, TimestampSigner(key=old, salt=name).sign("chocolate"))
        return response
    signer = TimestampSigner(
        key=new,
        fallback_keys=[] if forget else [old],
        salt=name,
    )
    try:
        value = signer.unsign(signed)
    except BadSignature as error:
        return TextResponse(f"BadSignature: {error}", status=400)
    message = gettext("%(name)s is %(value)s. The response signs it with the new key.")
    response = TextResponse(message % {"name": name, "value": value})
    response.set_cookie(name, signer.sign(value))
    return response
