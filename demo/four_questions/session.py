"""The answers for the session of a request, on the running engine."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from cookieproj.engines import running_engine
from cookieproj.engines.clock import aware, is_near
from cookieproj.engines.constants import EXPIRY_ITEM
from cookieproj.engines.engine_registry import EngineRef, current_engine
from cookieproj.engines.handover import previous
from cookieproj.engines.handover.movable_engines import handover_engine
from cookieproj.engines.signed_ids import signs_ids
from demo.engine_facts import EngineFacts, engines_with_same_rows
from demo.page_header import State
from demo.set_cookie import SetCookie
from demo.store_durability import Fate
from demo.wording import duration, moment

from .answers import (
    Answers,
    Event,
    NoAnswers,
    change_of_secret_key,
    changers_on_the_way,
    closing_the_browser,
    facts_or_reason,
    kept_if,
    no_answers,
    other_sites,
    readers,
    replay,
)


def session_answers(state: State) -> Answers | NoAnswers:
    """Return the answers, or why there are none."""
    engine = current_engine()
    if state.failure:
        return no_answers(state.failure)
    facts = facts_or_reason(engine)
    if isinstance(facts, NoAnswers):
        return facts
    if not state.is_readable:
        return NoAnswers(
            _(
                "This site cannot read the stored session of this browser, so its requests find an "
                "empty one."
            )
        )
    about = (
        _("Your session, on the engine %(engine)s.")
        if state.has_session
        else _("Your session, once this browser has one, on the engine %(engine)s.")
    )
    return Answers(
        about=about % {"engine": engine.label},
        read=list(who_can_read(facts, SetCookie("", state.request))),
        change=list(who_can_change(facts)),
        end=[*when_it_ends(state), *facts.ends_when_full],
        events=list(events(facts, state, engine)),
        is_session=True,
    )


def who_can_read(facts: EngineFacts, cookie: SetCookie) -> Iterator[str]:
    yield from who_can_read_the_data(facts)
    if not facts.is_session:
        yield (
            _("The cookie has only a random key, signed.")
            if signs_ids()
            else _("The cookie has only a random key.")
        )
    yield _("Whoever has the cookie can use the session.")
    yield from readers(
        is_hidden_from_scripts=settings.SESSION_COOKIE_HTTPONLY,
        needs_https=settings.SESSION_COOKIE_SECURE,
        is_of_this_machine=cookie.is_of_this_machine,
    )


def who_can_read_the_data(facts: EngineFacts) -> Iterator[str]:
    if facts.is_readable:
        yield _("Everybody who has the cookie: the session is in it, signed but not encrypted.")
    elif facts.is_session:
        yield _("Only this site: the session is in the cookie, encrypted.")
    else:
        yield _("Only this site, and whoever can read its store: %(place)s.") % {
            "place": facts.place
        }
        if facts.copy_place:
            yield _("A copy is in the cache (%(place)s), which requests read first.") % {
                "place": facts.copy_place
            }
        elif facts.has_copy:
            yield _("A copy is in the cache, which requests read first.")


def who_can_change(facts: EngineFacts) -> Iterator[str]:
    yield from who_can_change_the_data(facts)
    if not facts.is_session:
        yield _("A changed cookie opens no session.")
    yield from changers_on_the_way(needs_https=settings.SESSION_COOKIE_SECURE)
    yield other_sites(settings.SESSION_COOKIE_SAMESITE)


def who_can_change_the_data(facts: EngineFacts) -> Iterator[str]:
    """Django's signature does not name the key of the session, so a store can exchange sessions."""
    if facts.is_session:
        yield _(
            "Only this site can do so unnoticed: it ignores a cookie that somebody else has "
            "changed."
        )
        yield replay()
    elif facts.has_copy:
        yield _("Only this site, and whoever can write to the cache: the copy there is not signed.")
        yield _(
            "Whoever can write to the database can put an older session, or another one, in its "
            "place. Requests read that one once the cache has no copy."
        )
    elif all(facts.signed_copies):
        yield _(
            "Only this site can write new data: it ignores a stored session whose signature is "
            "wrong."
        )
        yield _(
            "Whoever can write to its store can put an older session, or another one, in its place."
        )
    else:
        yield _("Only this site, and whoever can write to its store.")


def when_it_ends(state: State) -> Iterator[str]:
    session: Any = state.request.session
    own_expiry = session.get(EXPIRY_ITEM)
    fixed = None
    if own_expiry and not isinstance(own_expiry, int):
        fixed = session.get_expiry_date()
        yield _("On %(moment)s UTC, by set_expiry(). Later changes do not move it.") % {
            "moment": moment(aware(fixed))
        }
    else:
        values = {"time": duration(session.get_expiry_age())}
        yield (
            _("%(time)s after its last request (SESSION_SAVE_EVERY_REQUEST).") % values
            if settings.SESSION_SAVE_EVERY_REQUEST
            else _("%(time)s after its last change.") % values
        )
    # Caches count whole seconds, so theirs may end a moment before a fixed time.
    if (expires := state.expires) and not (fixed and is_near(expires, fixed)):
        yield _("If nothing changes, on %(moment)s UTC.") % {"moment": moment(aware(expires))}
    if session.get_expire_at_browser_close():
        yield _("Before that, when the browser closes.")
    if not is_anybody_signed_in(session):
        yield (
            _(
                "When the site calls flush(), in this browser only: a copy of the cookie stays "
                "valid."
            )
            if running_engine.is_held_by_browser()
            else _("At once, when the site calls flush().")
        )
    elif not running_engine.is_held_by_browser():
        yield _("At once, when you sign out.")
    elif outlives_logout(session):
        yield _("When you sign out, in this browser only: a copy of the cookie stays valid.")
    else:
        yield _("At once, when you sign out with logout().")


def is_anybody_signed_in(session: Any) -> bool:
    """Whether somebody is, by login() or by hand, as in the recipe auth/by-hand-sign-in."""
    return SESSION_KEY in session or "username" in session


def outlives_logout(session: Any) -> bool:
    """Whether a copy of a cookie that holds the session is valid after logout().

    The site's revocation check refuses only a session that login() has signed in.
    """
    return SESSION_KEY not in session or bool(running_engine.why_not_single())


def events(facts: EngineFacts, state: State, engine: EngineRef) -> Iterator[Event]:
    session: Any = state.request.session
    yield closing_the_browser(has_age=not session.get_expire_at_browser_close())
    key_events = secret_key_events(facts, is_signed_in=SESSION_KEY in session)
    yield from restart_events(facts, engine, key_events)
    if store := facts.restart.store:
        what = _("a restart of %(store)s") % {"store": store}
        yield Event(what, facts.restart.of_store)
    yield from clearing_the_cache(facts, engine)
    yield kept_if(False, _("deleting the cookie in the browser"))
    yield from sign_out_events(session)


def restart_events(
    facts: EngineFacts, engine: EngineRef, key_events: Iterable[Event]
) -> Iterator[Event]:
    """What a restart of the site does, and what needs one: another SECRET_KEY or engine."""
    yield Event(_("a restart of the site"), facts.restart.of_site)
    yield from change_under_way()
    if facts.restart.of_site == Fate.ENDED:
        yield Event(_("a new SECRET_KEY or another engine: both need a restart"), Fate.ENDED)
        return
    yield from key_events
    yield from engine_events(engine)


def clearing_the_cache(facts: EngineFacts, engine: EngineRef) -> list[Event]:
    what = _("clearing the cache of sessions")
    return [kept_if(facts.has_copy, what)] if engine.has_cache else []


def secret_key_events(facts: EngineFacts, *, is_signed_in: bool) -> Iterator[Event]:
    """A sign-in always needs the key. Data need it where every copy of them is signed with it."""
    signed = facts.signed_after_restart
    needs_old_key = is_signed_in or signs_ids() or all(signed)
    kept, alone = change_of_secret_key(needs_old_key=needs_old_key)
    yield kept
    if not needs_old_key and any(signed):
        yield Event(_("a new SECRET_KEY alone, while the cache has a copy"), Fate.KEPT)
        yield Event(_("a new SECRET_KEY alone, once it has none"), Fate.ENDED)
    else:
        yield alone


def change_under_way() -> Iterator[Event]:
    """The change in which this site takes sessions over, if there are any to take over."""
    if (old := previous()) and not old.is_in_process_memory:
        what = _("the change from %(engine)s, which is under way") % {"engine": old.label}
        yield Event(what, Fate.KEPT)


def engine_events(engine: EngineRef) -> Iterator[Event]:
    yield kept_if(
        can_be_moved(engine),
        _("a change to another engine with SESSION_HANDOVER_FROM, which takes sessions over"),
    )
    without = _("a change to another engine without SESSION_HANDOVER_FROM")
    if engines_with_same_rows(engine):
        without = _("%(change)s, unless both use the same rows") % {"change": without}
    yield kept_if(False, without)


def can_be_moved(engine: EngineRef) -> bool:
    try:
        handover_engine(engine.path)
    except ImproperlyConfigured:
        return False
    return True


def sign_out_events(session: Any) -> Iterator[Event]:
    if not is_anybody_signed_in(session):
        yield from flush_events()
        return
    if not running_engine.is_held_by_browser():
        yield kept_if(False, _("signing out, for every copy of the cookie too"))
    elif outlives_logout(session):
        yield kept_if(False, _("signing out, in this browser"))
        yield kept_if(True, _("signing out or flush(), for somebody who has a copy of the cookie"))
    else:
        what = _("logout() or flush() after login(), for every copy of the cookie too")
        yield kept_if(False, what)
        yield kept_if(True, _("a sign-out by hand, for somebody who has a copy of the cookie"))
    # Only login() makes a session one of a device, and ties it to a password.
    if SESSION_KEY not in session:
        yield kept_if(True, _("a new password"))
        return
    if not running_engine.why_not_single():
        yield kept_if(False, _("signing this device out on the page “Your devices”"))
    yield kept_if(False, _("a new password that is set in another browser"))
    yield kept_if(True, _("a new password that is set in this one: the session gets a new key"))


def flush_events() -> Iterator[Event]:
    """What flush() does to a session in which nobody is signed in."""
    if running_engine.is_held_by_browser():
        yield kept_if(False, _("flush(), in this browser"))
        yield kept_if(True, _("flush(), for somebody who has a copy of the cookie"))
    else:
        yield kept_if(False, _("flush(), for every copy of the cookie too"))
