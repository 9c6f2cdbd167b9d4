"""Read cookies and delete them."""

from urllib.parse import quote, unquote

from django import forms
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cookieproj.engines.cookie_checks import prefix_of
from demo.form_fields import CookieAttributeField, CookieNameField, DomainField

from .recipe import READS_OR_SETS_A_COOKIE, TextResponse, recipe


class NameForm(forms.Form):
    name = CookieNameField(initial="color", takes_prefixes=True)


class DefaultForm(NameForm):
    default = forms.CharField(label=_("Default"), max_length=100, initial="none")


class DeleteElsewhereForm(NameForm):
    path = CookieAttributeField(label="path", max_length=200, initial="/elsewhere/")
    domain = DomainField(required=False)


def delete_with_prefix(
    response: HttpResponse, name: str, path: str = "/", domain: str | None = None
) -> None:
    """Delete a cookie, with what the prefix of its name asks for.

    delete_cookie sets Secure by itself, but only for __Secure- and __Host-, and never HttpOnly.
    """
    response.delete_cookie(name, path=path, domain=domain)
    if prefix := prefix_of(name):
        response.cookies[name]["secure"] = True
        response.cookies[name]["httponly"] = prefix.endswith("Http-")


@recipe(
    "request.COOKIES[…]",
    _("A missing cookie raises KeyError. Catch it: unhandled, it is a 500."),
    form=NameForm,
)
def by_name(request: HttpRequest, name: str) -> HttpResponse:
    try:
        value = unquote(request.COOKIES[name])
    except KeyError:
        message = gettext("KeyError: this browser sent no cookie %(name)s.")
        return TextResponse(message % {"name": name})
    return TextResponse(gettext("%(name)s is %(value)s") % {"name": name, "value": value})


@recipe(
    "request.COOKIES.get(…)",
    _("With a default, a missing cookie is no special case."),
    form=DefaultForm,
)
def with_a_default(request: HttpRequest, name: str, default: str) -> HttpResponse:
    value = unquote(request.COOKIES.get(name, default))
    return TextResponse(gettext("%(name)s is %(value)s") % {"name": name, "value": value})


@recipe(
    _("All of them"),
    _(
        "request.COOKIES is a plain dict of str to str, made from the Cookie header. Age, path "
        "and the other attributes stay in the browser, which never sends them. This recipe shows "
        "only names, because showing a value would undo its HttpOnly."
    ),
)
def all_cookies(request: HttpRequest) -> HttpResponse:
    kind = type(request.COOKIES)
    names = sorted(request.COOKIES)
    return JsonResponse({"type": f"{kind.__module__}.{kind.__name__}", "names": names})


@recipe(
    _("Last visit"),
    _(
        "The request carries the time of your previous visit. The response sets the time of this "
        "one."
    ),
    methods=READS_OR_SETS_A_COOKIE,
)
def last_visit(request: HttpRequest) -> HttpResponse:
    previous = unquote(request.COOKIES.get("time", ""))
    if previous:
        message = gettext("Your last visit was at %(time)s.") % {"time": previous}
    else:
        message = gettext("This is your first visit.")
    response = TextResponse(message)
    response.set_cookie("time", quote(f"{timezone.now():%Y-%m-%d %H:%M:%S} UTC", safe=""))
    return response


@recipe(
    _("Delete with another path"),
    _(
        "Name, path and domain together identify a cookie. This response deletes only the one "
        "with the path below, so the cookie at “/” stays."
    ),
    form=DeleteElsewhereForm,
    methods=READS_OR_SETS_A_COOKIE,
    helpers=(delete_with_prefix,),
)
def delete_elsewhere(request: HttpRequest, name: str, path: str, domain: str) -> HttpResponse:
    message = gettext("The response deletes %(name)s at %(path)s, and at no other path.")
    response = TextResponse(message % {"name": name, "path": path})
    delete_with_prefix(response, name, path, domain or None)
    return response


@recipe(
    _("Delete"),
    _(
        "A response deletes a cookie by setting it again, to an empty value that expired in 1970. "
        "The path is “/” here. A browser accepts it only with what a prefix of the name requires."
    ),
    form=NameForm,
    methods=READS_OR_SETS_A_COOKIE,
    helpers=(delete_with_prefix,),
)
def delete(request: HttpRequest, name: str) -> HttpResponse:
    response = TextResponse(gettext("The response deletes %(name)s.") % {"name": name})
    delete_with_prefix(response, name)
    return response
