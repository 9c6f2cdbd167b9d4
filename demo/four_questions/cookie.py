"""The answers for a cookie that a recipe sets, plain or signed, and for the sign-in cookie."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from demo.form_fields import MAX_COOKIE_AGE
from demo.login_auth import set_login_cookie
from demo.models import User
from demo.recipes.recipe import Recipe, Subject, initial_values
from demo.set_cookie import SetCookie
from demo.wire import set_cookie_lines
from demo.wording import MINUTE, duration, joined, moment

from .answers import (
    Answers,
    Event,
    NoAnswers,
    change_of_secret_key,
    changers_on_the_way,
    closing_the_browser,
    it_has_ended,
    kept_if,
    merged,
    nothing_to_change,
    other_sites,
    readers,
    replay,
)
from .trial import CookiesOfRecipe, NotSetError, cookies_of


def cookie_answers(
    recipe: Recipe, request: HttpRequest, values: Mapping[str, Any]
) -> Answers | NoAnswers:
    """Return the answers for the cookies that the recipe sets or works on, if browsers keep any."""
    try:
        found = cookies_of(recipe, request, values)
    except NotSetError as error:
        return NoAnswers(str(error))
    if found.deleted:
        return deleted_cookie_answers(found, request)
    is_signed = recipe.subject != Subject.PLAIN_COOKIE
    has_own_key = recipe.subject == Subject.COOKIE_WITH_OWN_KEY
    kept = [cookie for cookie in found.cookies if not any(cookie.reasons())]
    dropped = [why_it_is_dropped(cookie) for cookie in found.cookies if cookie not in kept]
    if not kept:
        return NoAnswers(joined(dropped))
    names = [name_of(cookie) for cookie in kept]
    answers = [answers_of(cookie, is_signed=is_signed, has_own_key=has_own_key) for cookie in kept]
    about = [
        which_cookies(kept, recipe, found.setter),
        *without_subdomains(kept),
        *dropped,
        *other_deletions(found),
    ]
    found_answers = merged(names, answers)
    end = [*found_answers.end, *what_the_reader_checks(recipe, found.setter, values)]
    return replace(found_answers, about=joined(about), end=end)


def what_the_reader_checks(
    recipe: Recipe, setter: Recipe, values: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the age that a recipe accepts which reads the cookie of another one."""
    reads_signature = recipe.subject == Subject.SIGNED_COOKIE and setter is not recipe
    if not reads_signature or "max_age" not in recipe.form.base_fields:
        return
    form = recipe.form(initial_values(recipe.form) | dict(values.items()))
    form.full_clean()
    yield _("This recipe accepts it for %(time)s after it was signed (max_age).") % {
        "time": duration(form.cleaned_data["max_age"])
    }


def why_it_is_dropped(cookie: SetCookie) -> str:
    return _(
        "Browsers drop the cookie %(name)s, and keep an older one of that name. %(reason)s"
    ) % {
        "name": name_of(cookie),
        "reason": joined(cookie.reasons()),
    }


def which_cookies(cookies: list[SetCookie], recipe: Recipe, setter: Recipe) -> str:
    names = [with_attributes(cookie) for cookie in cookies]
    values = {"name": names[0], "names": ", ".join(names), "recipe": setter.title}
    if len(names) > 1 and setter is recipe:
        text = _("The cookies %(names)s, as this recipe sets them.")
    elif len(names) > 1:
        text = _("The cookies %(names)s, as the recipe “%(recipe)s” sets them.")
    elif setter is recipe:
        text = _("The cookie %(name)s, as this recipe sets it.")
    else:
        text = _("The cookie %(name)s, as the recipe “%(recipe)s” sets it.")
    return text % values


def with_attributes(cookie: SetCookie) -> str:
    """Return the cookie's name and its attributes: by these a reader knows which run it is of."""
    attributes = cookie.line.partition(";")[2].strip()
    name = cookie.pair[0] or _("without a name")
    if not attributes:
        return name
    return _("%(name)s (%(attributes)s)") % {"name": name, "attributes": attributes}


def without_subdomains(cookies: list[SetCookie]) -> list[str]:
    """Return what a domain means that is an address or has no dot."""
    if not any(cookie.attributes.get("domain") and not cookie.domain for cookie in cookies):
        return []
    return [
        _(
            "An IP address and a name without a dot have no subdomains: the cookie is this host's "
            "alone."
        )
    ]


def other_deletions(found: CookiesOfRecipe) -> Iterator[str]:
    for deletion in found.deletions:
        yield _("This recipe deletes %(name)s, which is another cookie.") % {
            "name": name_of(deletion)
        }


def deleted_cookie_answers(found: CookiesOfRecipe, request: HttpRequest) -> Answers:
    """Return what is so after the recipe has deleted cookies. The site has stored none of them."""
    names = ", ".join(name_of(cookie) for cookie in found.deleted)
    absent = [
        _("This browser has no cookie %(name)s now. If it had one, this is about that one.")
        % {"name": name_of(cookie)}
        for cookie in found.deleted
        # A cookie of a longer path is not sent to the page.
        if cookie.path == "/" and cookie.pair[0] not in request.COOKIES
    ]
    left = [
        _("Nothing. Somebody who has copied its text can set it again, and this site cannot tell."),
        *(
            _("The cookie %(name)s for %(path)s stays.")
            % {"name": cookie.pair[0], "path": place_of(cookie)}
            for cookie in found.cookies
            if cookie not in found.deleted
        ),
    ]
    return Answers(
        about=joined(
            [
                *absent,
                _("The cookie %(name)s, after this recipe has deleted it.") % {"name": names},
            ]
        ),
        read=[_("Nobody: the browser has deleted it, and this site has not stored it.")],
        change=[nothing_to_change()],
        end=[it_has_ended()],
        left=joined(left),
    )


def answers_of(cookie: SetCookie, *, is_signed: bool, has_own_key: bool = False) -> Answers:
    """Return the answers. ``has_own_key`` is whether it is signed with a key of the view's own."""
    return Answers(
        about="",
        read=list(who_can_read(cookie, is_signed=is_signed)),
        change=list(who_can_change(cookie, is_signed=is_signed)),
        end=list(when_it_ends(cookie)),
        events=[
            *events(cookie, needs_secret_key=is_signed and not has_own_key),
            *change_of_own_key(has_own_key),
            kept_if(True, _("signing in or out, and a new password: it belongs to no user")),
        ],
    )


def name_of(cookie: SetCookie) -> str:
    """Return the cookie's name, with its domain and path if it is not just this host's."""
    name, place = cookie.pair[0] or _("without a name"), place_of(cookie)
    return name if place == "/" else _("%(name)s for %(path)s") % {"name": name, "path": place}


def place_of(cookie: SetCookie) -> str:
    """Return the cookie's path below its domain. Of a whole domain it is the domain alone."""
    return cookie.domain if cookie.domain and cookie.path == "/" else cookie.domain + cookie.path


def sign_in_answers(request: HttpRequest) -> Answers:
    cookie = sign_in_cookie(request)
    return Answers(
        about=_("The cookie %(name)s, as login_auth sets it.") % {"name": cookie.pair[0]},
        read=[
            *who_can_read(cookie, is_signed=True),
            _("Whoever has it is signed in."),
        ],
        change=list(who_can_change(cookie, is_signed=True)),
        end=list(when_it_ends(cookie)),
        events=[
            *events(cookie, needs_secret_key=True),
            # The site does not refuse a copy of the cookie after its owner has signed out.
            kept_if(False, _("signing out, in this browser")),
            kept_if(True, _("signing out, for somebody who has a copy of the cookie")),
            kept_if(False, _("a new password")),
        ],
    )


def sign_in_cookie(request: HttpRequest) -> SetCookie:
    """Return the cookie of login_auth, of a user who is not stored."""
    response = HttpResponse()
    user = User(pk=0, password="a hash")  # noqa: S106 - the user is never saved
    set_login_cookie(response, user, secure=request.is_secure())
    [line] = set_cookie_lines(response)
    return SetCookie(line, request)


def who_can_read(cookie: SetCookie, *, is_signed: bool) -> Iterator[str]:
    yield (
        _("Everybody who has it: it is signed, not encrypted.")
        if is_signed
        else _("Everybody who has it: its text is the value.")
    )
    yield from readers(
        is_hidden_from_scripts="httponly" in cookie.attributes,
        needs_https="secure" in cookie.attributes,
        is_of_this_machine=cookie.is_of_this_machine,
    )


def who_can_change(cookie: SetCookie, *, is_signed: bool) -> Iterator[str]:
    if is_signed:
        yield _(
            "Only this site can do so unnoticed: it refuses a cookie that somebody else has "
            "changed."
        )
        yield replay()
    elif "httponly" in cookie.attributes:
        yield _("You, in the browser's developer tools. The site cannot tell.")
    else:
        yield _("You, and scripts on the page. The site cannot tell.")
    yield from changers_on_the_way(
        needs_https="secure" in cookie.attributes, is_plain=not is_signed
    )
    yield other_sites(cookie.attributes.get("samesite"))


def when_it_ends(cookie: SetCookie) -> Iterator[str]:
    if cookie.age is None:
        yield _("When the browser closes: it has no age.")
        return
    age = min(cookie.age, MAX_COOKIE_AGE)
    if "max-age" not in cookie.attributes:
        # A date is not to the second of this page.
        age = round(age / MINUTE) * MINUTE
    yield _("%(time)s after it was set. Set now, it ends on %(moment)s UTC.") % {
        "time": duration(age),
        "moment": moment(timezone.now() + timedelta(seconds=age)),
    }
    if cookie.age > MAX_COOKIE_AGE:
        yield _("Browsers keep no cookie for longer.")


def change_of_own_key(has_own_key: bool) -> Iterator[Event]:
    if has_own_key:
        yield kept_if(True, _("a new key in the view, with the old one as a fallback"))
        yield kept_if(False, _("a new key in the view alone"))


def events(cookie: SetCookie, *, needs_secret_key: bool) -> Iterator[Event]:
    """The browser has the cookie, and the site stores nothing: at most SECRET_KEY is needed."""
    yield closing_the_browser(has_age=cookie.age is not None)
    yield kept_if(True, _("a restart of the site"))
    yield kept_if(True, _("clearing any cache or store"))
    yield from change_of_secret_key(needs_old_key=needs_secret_key)
    yield kept_if(True, _("another session engine"))
    yield kept_if(False, _("deleting it in the browser"))
