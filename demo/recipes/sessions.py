"""Use the session as a dictionary."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cookieproj.engines.exceptions import HeldByClientError
from demo.form_fields import SessionKeyField

from .recipe import CHANGES, Subject, TextResponse, recipe

WORKS_ON = Subject.SESSION


class KeyForm(forms.Form):
    key = SessionKeyField()


class ItemForm(KeyForm):
    value = forms.CharField(label=_("Value"), max_length=500, initial="blue", strip=False)


class DefaultForm(KeyForm):
    default = forms.CharField(label=_("Default"), max_length=500, initial="none", strip=False)


class NestedForm(forms.Form):
    item = forms.CharField(label=_("Add to the cart"), max_length=100, initial="cookie")
    say_modified = forms.BooleanField(label=_("Set modified = True"), required=False)


@recipe(
    "session[…] = …",
    _("request.session works like a dict. The middleware saves it after the view has returned."),
    form=ItemForm,
    methods=CHANGES,
)
def set_item(request: HttpRequest, key: str, value: str) -> HttpResponse:
    request.session[key] = value
    return TextResponse(gettext("%(key)s is set to %(value)s") % {"key": key, "value": value})


@recipe(
    "session[…]",
    _("A missing key raises KeyError, as in any dict."),
    form=KeyForm,
)
def get_item(request: HttpRequest, key: str) -> HttpResponse:
    try:
        value = request.session[key]
    except KeyError:
        message = gettext("KeyError: this session has no key %(key)s.")
        return TextResponse(message % {"key": key})
    return TextResponse(gettext("%(key)s is %(value)s") % {"key": key, "value": value})


@recipe(
    "get",
    _("With a default, a missing key is no special case."),
    form=DefaultForm,
)
def get(request: HttpRequest, key: str, default: str) -> HttpResponse:
    value = request.session.get(key, default)
    return TextResponse(gettext("%(key)s is %(value)s") % {"key": key, "value": value})


@recipe(
    "in",
    _("Whether the session has the key."),
    form=KeyForm,
)
def contains(request: HttpRequest, key: str) -> HttpResponse:
    if key in request.session:
        message = gettext("This session has the key %(key)s.")
    else:
        message = gettext("This session has no key %(key)s.")
    return TextResponse(message % {"key": key})


@recipe(
    "pop",
    _("Removes a key and returns its value, or the default if the key is missing."),
    form=DefaultForm,
    methods=CHANGES,
)
def pop(request: HttpRequest, key: str, default: str) -> HttpResponse:
    value = request.session.pop(key, default)
    return TextResponse(gettext("%(key)s was %(value)s") % {"key": key, "value": value})


@recipe(
    "setdefault",
    _("Sets the key only if it is missing, and returns its value."),
    form=ItemForm,
    methods=CHANGES,
)
def setdefault(request: HttpRequest, key: str, value: str) -> HttpResponse:
    value = request.session.setdefault(key, value)
    return TextResponse(gettext("%(key)s is %(value)s") % {"key": key, "value": value})


@recipe(
    "del",
    _("Removes a key. A missing key raises KeyError."),
    form=KeyForm,
    methods=CHANGES,
)
def del_item(request: HttpRequest, key: str) -> HttpResponse:
    try:
        del request.session[key]
    except KeyError:
        message = gettext("KeyError: this session has no key %(key)s.")
    else:
        message = gettext("%(key)s is removed.")
    return TextResponse(message % {"key": key})


@recipe(
    "update",
    _("Sets several keys at once."),
    form=ItemForm,
    methods=CHANGES,
)
def update(request: HttpRequest, key: str, value: str) -> HttpResponse:
    request.session.update({key: value, "updated": True})
    return TextResponse(gettext("%(key)s and updated are set") % {"key": key})


@recipe(
    "keys",
    _(
        "Old tutorials list Python 2's iterkeys. It no longer exists: keys() is itself a view. "
        "Without a session it is empty."
    ),
)
def keys(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"keys": visible(list(request.session.keys()))})


@recipe(
    "values",
    _(
        "itervalues no longer exists either. Values that sign you in are left out here. Without a "
        "session there are none."
    ),
)
def values(request: HttpRequest) -> HttpResponse:
    keys = visible(list(request.session.keys()))
    return JsonResponse({"values": [request.session[key] for key in keys]})


@recipe(
    "items",
    _(
        "iteritems no longer exists either. Items that sign you in are left out here. Without a "
        "session there are none."
    ),
)
def items(request: HttpRequest) -> HttpResponse:
    items = {key: value for key, value in request.session.items() if visible([key])}
    return JsonResponse({"items": items})


@recipe(
    _("Nested changes and modified"),
    _(
        "Django notices that a key is set, but not that a list inside it grows. The first run "
        "sets an empty cart. Run it again, without modified, and then look at items: the cart is "
        "still empty."
    ),
    form=NestedForm,
    methods=CHANGES,
)
def nested(request: HttpRequest, item: str, say_modified: bool) -> HttpResponse:
    if "cart" not in request.session:
        request.session["cart"] = []
        return TextResponse(gettext("An empty cart is set. Run this again to add to it."))
    request.session["cart"].append(item)
    if say_modified:
        request.session.modified = True
    if request.session.modified:
        message = gettext("The cart is %(cart)s. The response saves it.")
    else:
        message = gettext("The cart is %(cart)s. The change is lost after this request.")
    return TextResponse(message % {"cart": request.session["cart"]})


@recipe(
    _("A visit counter"),
    _(
        "The example of every tutorial: read, add one, write. Two visits at the same time both "
        "add one to the same number, so only one of them is counted."
    ),
    methods=CHANGES,
)
def visits(request: HttpRequest) -> HttpResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return TextResponse(gettext("Visit number %(number)d.") % {"number": request.session["visits"]})


@recipe(
    "apply",
    _(
        "The same counter without lost visits. apply() calls the function on the stored value, "
        "and calls it again if another request has saved first. The result is stored at once. "
        "Django's engines have no such method, and a session in a cookie cannot have it."
    ),
    methods=CHANGES,
)
def apply(request: HttpRequest) -> HttpResponse:
    session: Any = request.session
    try:
        visits = session.apply("visits", lambda visits: visits + 1, default=0)
    except (HeldByClientError, AttributeError) as error:
        return TextResponse(f"{type(error).__name__}: {error}")
    return TextResponse(gettext("Visit number %(number)d.") % {"number": visits})


def visible(keys: list[str]) -> list[str]:
    """Return the keys without Django's own, which include a hash of the user's password."""
    return [key for key in keys if not key.startswith("_")]
