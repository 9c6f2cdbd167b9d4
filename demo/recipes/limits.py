"""What a browser's cookie jar holds: ages, names, numbers, and two cookies of one name."""

import re
from datetime import timedelta

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from demo.form_fields import DomainField

from .recipe import CHANGES, READS_OR_SETS_A_COOKIE, Subject, TextResponse, recipe

NUMBERED = re.compile("n([0-9]{1,3})")


class DaysForm(forms.Form):
    days = forms.IntegerField(label=_("Days"), initial=500, min_value=1, max_value=10_000)


class NamelessForm(forms.Form):
    line = forms.ChoiceField(
        label="Set-Cookie", choices=[("=value", "=value"), ("value", "value")], initial="=value"
    )


class NumberForm(forms.Form):
    number = forms.IntegerField(
        label=_("How many cookies"), initial=181, min_value=1, max_value=200
    )


class DomainForm(forms.Form):
    domain = DomainField(
        initial="example.test",
        help_text=_("A domain that this site's host is below. 127.0.0.1 and localhost have none."),
    )


class TwinForm(forms.Form):
    path = forms.ChoiceField(
        label="path", choices=[("/limits/", "/limits/"), ("/", "/")], initial="/limits/"
    )
    domain = DomainField(required=False)


@recipe(
    _("max_age over 400 days"),
    _(
        "The response asks for more than 400 days. Chromium and Firefox keep the cookie for "
        "exactly 400, and tell nobody. The limit is in RFC 6265bis, which is not an RFC yet; RFC "
        "6265 has none. To keep a cookie for longer, set it again while the visitor still comes."
    ),
    form=DaysForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def max_age_over_400_days(request: HttpRequest, days: int) -> HttpResponse:
    response = TextResponse(gettext("The response asks for %(days)d days.") % {"days": days})
    response.set_cookie("long", "1", max_age=timedelta(days=days))
    return response


@recipe(
    _("expires after 400 days"),
    _(
        "The same limit applies to a date. Here expires is text, because from a datetime Django "
        "also computes max-age."
    ),
    methods=READS_OR_SETS_A_COOKIE,
)
def expires_after_400_days(request: HttpRequest) -> HttpResponse:
    response = TextResponse(gettext("The response asks for a cookie until the end of 2099."))
    response.set_cookie("late", "1", expires="Thu, 31 Dec 2099 23:59:59 GMT")
    return response


@recipe(
    _("A cookie without a name"),
    _(
        "set_cookie refuses an empty name, but a header written by hand is not checked. Chromium "
        "keeps both lines as a cookie without a name. Firefox drops “=value”, and makes of “value” "
        "a cookie that has this name and an empty value. Give each cookie a name."
    ),
    form=NamelessForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def nameless(request: HttpRequest, line: str) -> HttpResponse:
    response = TextResponse(gettext("The line is: %(line)s") % {"line": line})
    response.headers["Set-Cookie"] = f"{line}; Path=/; Max-Age=600; SameSite=Lax"
    return response


@recipe(
    _("What Django makes of it"),
    _(
        "From Chromium the Cookie header has “value” without an equals sign, and request.COOKIES "
        "puts it under the empty name."
    ),
    works_on="limits/nameless",
)
def read_nameless(request: HttpRequest) -> HttpResponse:
    pairs = request.META.get("HTTP_COOKIE", "").split("; ")
    received = [pair for pair in pairs if pair and pair.partition("=")[0] in {"", "value"}]
    if not received:
        return TextResponse(
            gettext("No cookie without a name arrived: set one with the recipe before.")
        )
    found = {name: value for name, value in request.COOKIES.items() if name in {"", "value"}}
    return TextResponse(f"Cookie: {'; '.join(received)}\nrequest.COOKIES: {found}")


# Takes only POST: a link of another site could delete the session's cookie otherwise.
@recipe(
    _("More cookies than a browser keeps"),
    _(
        "RFC 6265 asks browsers for at least 50 cookies a domain. Chromium and Firefox keep 180 "
        "for a domain with its subdomains: at one more they delete cookies until 150 are left, and "
        "then store the rest of the response. Those without Secure go first, and among them those "
        "that were sent least recently: also other cookies of this site. If your session's cookie "
        "goes, you are signed out."
    ),
    form=NumberForm,
    methods=CHANGES,
    works_on=Subject.NOTHING,
)
def too_many(request: HttpRequest, number: int) -> HttpResponse:
    response = TextResponse(gettext("The response sets %(number)d cookies.") % {"number": number})
    for position in range(1, number + 1):
        response.set_cookie(f"n{position}", "1", path="/limits/")
    return response


@recipe(
    _("Count them"),
    _("Only the next request shows which cookies the browser has kept."),
    works_on=Subject.NOTHING,
)
def count_them(request: HttpRequest) -> HttpResponse:
    numbers = [int(match[1]) for match in map(NUMBERED.fullmatch, request.COOKIES) if match]
    if not numbers:
        return TextResponse(gettext("None of the numbered cookies arrived."))
    return TextResponse(
        gettext("%(count)d of the numbered cookies arrived, from n%(first)d to n%(last)d.")
        % {"count": len(numbers), "first": min(numbers), "last": max(numbers)}
    )


@recipe(
    _("Delete them"),
    _("Nothing deletes all cookies by a pattern: each one needs a Set-Cookie line of its own."),
    methods=READS_OR_SETS_A_COOKIE,
    works_on=Subject.NOTHING,
)
def delete_them(request: HttpRequest) -> HttpResponse:
    names = list(filter(NUMBERED.fullmatch, request.COOKIES))
    response = TextResponse(
        gettext("The response deletes %(count)d cookies.") % {"count": len(names)}
    )
    for name in names:
        response.delete_cookie(name, path="/limits/")
    return response


@recipe(
    _("Two cookies of one name, by path"),
    _(
        "A cookie with another path is another cookie. response.cookies holds one cookie of each "
        "name, so a second set_cookie would replace the first: the other line is written by hand."
    ),
    methods=READS_OR_SETS_A_COOKIE,
)
def two_paths(request: HttpRequest) -> HttpResponse:
    response = TextResponse(gettext("The response sets twin twice: for /limits/ and for /."))
    response.set_cookie("twin", "of-limits", path="/limits/")
    response.headers["Set-Cookie"] = "twin=of-the-site; Path=/"
    return response


@recipe(
    _("Two cookies of one name, by domain"),
    _(
        "A cookie without a domain is only this host's. With a domain it is another cookie, which "
        "subdomains share. On 127.0.0.1 and localhost the browser drops it, unless the domain is "
        "that very host: then it is only this host's too, and replaces the other. Run the site "
        "under a name with a dot to see both."
    ),
    form=DomainForm,
    methods=READS_OR_SETS_A_COOKIE,
)
def two_domains(request: HttpRequest, domain: str) -> HttpResponse:
    response = TextResponse(
        gettext("The response sets twin twice: for this host and for %(domain)s.")
        % {"domain": domain}
    )
    response.set_cookie("twin", "of-the-domain", domain=domain)
    response.headers["Set-Cookie"] = "twin=of-the-host; Path=/"
    return response


@recipe(
    _("Which of the two?"),
    _(
        "The header has only names and values, so the server cannot tell the two apart. Browsers "
        "send the longer path first, and of equal paths the older cookie first. request.COOKIES "
        "keeps the last one: the shorter path. RFC 6265 tells servers not to rely on the order "
        "(section 4.2.2): use another name."
    ),
    works_on="limits/two-paths",
)
def which_twin(request: HttpRequest) -> HttpResponse:
    pairs = request.META.get("HTTP_COOKIE", "").split("; ")
    twins = "; ".join(pair for pair in pairs if pair.startswith("twin="))
    if not twins:
        return TextResponse(gettext("No twin arrived: set them first."))
    return TextResponse(f"Cookie: {twins}\nrequest.COOKIES: {request.COOKIES.get('twin')}")


@recipe(
    _("Delete one of the two"),
    _(
        "delete_cookie needs the path and the domain with which the cookie was set. Each of the "
        "two is deleted by a line of its own."
    ),
    form=TwinForm,
    methods=READS_OR_SETS_A_COOKIE,
    works_on="limits/two-paths",
)
def delete_twin(request: HttpRequest, path: str, domain: str) -> HttpResponse:
    response = TextResponse(
        gettext("The response asks to delete the twin for %(path)s.") % {"path": f"{domain}{path}"}
    )
    response.delete_cookie("twin", path=path, domain=domain or None)
    return response
