"""The answers for a cookie that a recipe sets, plain or signed, and for the sign-in cookie."""

from collections.abc import Iterator
from dataclasses import replace

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from demo.form_fields import MAX_COOKIE_AGE
from demo.login_auth import set_login_cookie
from demo.models import User
from demo.recipes.recipe import Recipe, Subject
from demo.set_cookie import SetCookie
from demo.wire import set_cookie_lines

from .answers import (
    MINUTE,
    Answers,
    Event,
    NoAnswers,
    change_of_secret_key,
    closing_the_browser,
    duration,
    joined,
    kept_if,
    merged,
    other_sites,
    readers,
    sign_out_of_one_browser,
)
from .trial import cookies_of


def cookie_answers(recipe: Recipe, request: HttpRequest) -> Answers | NoAnswers:
    """Return the answers for the cookies that the recipe sets or works on, if browsers keep any."""
    setter, cookies, is_deleted = cookies_of(recipe, request)
    is_signed = recipe.subject == Subject.SIGNED_COOKIE
    kept = [cookie for cookie in cookies if not any(cookie.reasons())]
    dropped = joined(why_there_is_none(cookie) for cookie in cookies if cookie not in kept)
    if not kept:
        return NoAnswers(dropped)
    names = [name_of(cookie) for cookie in kept]
    answers = [answers_of(cookie, is_signed=is_signed, is_deleted=is_deleted) for cookie in kept]
    about = which_cookies(names, recipe, setter)
    return replace(merged(names, answers), about=joined([about, *([dropped] if dropped else [])]))


def why_there_is_none(cookie: SetCookie) -> str:
    return _("There is no cookie %(name)s: browsers drop it. %(reason)s") % {
        "name": name_of(cookie),
        "reason": joined(cookie.reasons()),
    }


def which_cookies(names: list[str], recipe: Recipe, setter: Recipe) -> str:
    values = {"name": names[0], "names": ", ".join(names), "recipe": setter.title}
    if len(names) > 1 and setter is recipe:
        text = _("The cookies %(names)s, as this recipe sets them.")
    elif len(names) > 1:
        text = _("The cookies %(names)s, as the recipe “%(recipe)s” sets them.")
    elif setter is recipe and recipe.form.base_fields:
        text = _("The cookie %(name)s, as this recipe sets it with the values of its example.")
    elif setter is recipe:
        text = _("The cookie %(name)s, as this recipe sets it.")
    else:
        text = _("The cookie %(name)s, as the recipe “%(recipe)s” sets it.")
    return text % values


def answers_of(cookie: SetCookie, *, is_signed: bool, is_deleted: bool) -> Answers:
    return Answers(
        about="",
        read=list(who_can_read(cookie, is_signed=is_signed)),
        change=list(who_can_change(cookie, is_signed=is_signed)),
        end=list(when_it_ends(cookie, is_deleted=is_deleted)),
        events=[*events(cookie, is_signed=is_signed), *sign_in_changes(ends_it=False)],
    )


def name_of(cookie: SetCookie) -> str:
    """Return the cookie's name, with its domain and path if it is not just this host's."""
    name = cookie.pair[0] or _("without a name")
    place = f"{cookie.domain}{cookie.path}"
    return name if place == "/" else _("%(name)s for %(path)s") % {"name": name, "path": place}


def sign_in_answers(request: HttpRequest) -> Answers:
    """Return the answers for the cookie of login_auth, of a user who is not stored."""
    response = HttpResponse()
    user = User(pk=0, password="a hash")  # noqa: S106 - the user is never saved
    set_login_cookie(response, user, secure=request.is_secure())
    [line] = set_cookie_lines(response)
    cookie = SetCookie(line, request)
    return Answers(
        about=_("The cookie %(name)s, as login_auth sets it.") % {"name": cookie.pair[0]},
        read=[
            *who_can_read(cookie, is_signed=True),
            _("Whoever has it is signed in."),
        ],
        change=list(who_can_change(cookie, is_signed=True)),
        end=list(when_it_ends(cookie, is_deleted=False)),
        events=[*events(cookie, is_signed=True), *sign_in_changes(ends_it=True)],
    )


def who_can_read(cookie: SetCookie, *, is_signed: bool) -> Iterator[str]:
    yield (
        _("Everybody who has it: it is signed, not encrypted.")
        if is_signed
        else _("Everybody who has it: its text is the value.")
    )
    yield from readers(
        is_hidden_from_scripts="httponly" in cookie.attributes,
        needs_https="secure" in cookie.attributes,
    )


def who_can_change(cookie: SetCookie, *, is_signed: bool) -> Iterator[str]:
    if is_signed:
        yield _("Only this site. It refuses a cookie that somebody has changed.")
    elif "httponly" in cookie.attributes:
        yield _("You, in the browser's developer tools. The site cannot tell.")
    else:
        yield _("You, and scripts on the page. The site cannot tell.")
    yield other_sites(cookie.attributes.get("samesite"))


def when_it_ends(cookie: SetCookie, *, is_deleted: bool) -> Iterator[str]:
    if is_deleted:
        yield _("At once: this recipe deletes it.")
    elif cookie.age is None:
        yield _("When the browser closes: it has no age.")
    elif cookie.age > MAX_COOKIE_AGE:
        yield _("%(time)s after it was set. Browsers keep no cookie for longer.") % {
            "time": duration(MAX_COOKIE_AGE)
        }
    else:
        # A date is not to the second of this page.
        age = cookie.age if "max-age" in cookie.attributes else round(cookie.age / MINUTE) * MINUTE
        yield _("%(time)s after it was set.") % {"time": duration(age)}


def events(cookie: SetCookie, *, is_signed: bool) -> Iterator[Event]:
    """The browser has the cookie, and the site stores nothing: only SECRET_KEY is needed."""
    yield closing_the_browser(has_age=cookie.age is not None)
    yield kept_if(True, _("a restart of the site"))
    yield kept_if(True, _("clearing any cache or store"))
    yield from change_of_secret_key(needs_old_key=is_signed)
    yield kept_if(True, _("another engine"))
    yield kept_if(False, _("deleting it in the browser"))


def sign_in_changes(*, ends_it: bool) -> Iterator[Event]:
    if ends_it:
        yield from sign_out_of_one_browser()
    else:
        yield kept_if(True, _("signing out"))
    yield kept_if(not ends_it, _("a new password"))
