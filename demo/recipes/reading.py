"""Read cookies and delete them."""

from urllib.parse import quote, unquote

from django import forms
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from demo.form_fields import CookieAttributeField

from .cookies import NameForm
from .recipe import READS_OR_SETS_A_COOKIE, TextResponse, recipe


class DefaultForm(NameForm):
    default = forms.CharField(label=_("Default"), max_length=100, initial="none")


class DeleteElsewhereForm(NameForm):
    path = CookieAttributeField(label="path", max_length=200, initial="/elsewhere/")
    domain = CookieAttributeField(label="domain", max_length=200, required=False)


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
)
def delete_elsewhere(request: HttpRequest, name: str, path: str, domain: str) -> HttpResponse:
    message = gettext("The response deletes %(name)s at %(path)s, and at no other path.")
    response = TextResponse(message % {"name": name, "path": path})
    response.delete_cookie(name, path=path, domain=domain or None)
    return response


@recipe(
    _("Delete"),
    _(
        "A response deletes a cookie by setting it again, to an empty value that expired in 1970. "
        "The path is “/” here."
    ),
    form=NameForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def delete(request: HttpRequest, name: str) -> HttpResponse:
    response = TextResponse(gettext("The response deletes %(name)s.") % {"name": name})
    response.delete_cookie(name)
    return response
