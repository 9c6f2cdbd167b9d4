"""The answers for a session whose key is in the address."""

from collections.abc import Iterator

from django.http import HttpRequest
from django.utils.translation import gettext as _

from cookieproj.engines.engine_registry import current_engine
from demo.engine_facts import EngineFacts
from demo.recipes.in_path import ADDRESS_AGE
from demo.wording import duration

from .answers import (
    Answers,
    NoAnswers,
    change_of_secret_key,
    facts_or_reason,
    kept_if,
)
from .session import clearing_the_cache, restart_events, who_can_change_the_data


def address_answers(request: HttpRequest) -> Answers | NoAnswers:
    engine = current_engine()
    facts = facts_or_reason(engine)
    if isinstance(facts, NoAnswers):
        return facts
    return Answers(
        about=_("The session whose key is in the address."),
        read=list(who_can_read(facts, request)),
        change=[
            *who_can_change_what_is_stored(facts),
            _("Whoever has the address can change it through this site."),
            _("An address that somebody else has changed opens no session."),
        ],
        end=[
            _("Each address is valid for %(time)s, and every page links to a new one.")
            % {"time": duration(ADDRESS_AGE)},
            _("The session ends %(time)s after its last change.") % {"time": duration(ADDRESS_AGE)},
            *facts.ends_when_full,
        ],
        events=[
            kept_if(True, _("closing the window: the history has the address")),
            # The address is signed, whatever the store does.
            *restart_events(facts, engine, change_of_secret_key(needs_old_key=True)),
            *clearing_the_cache(facts, engine),
        ],
    )


def who_can_read(facts: EngineFacts, request: HttpRequest) -> Iterator[str]:
    yield _("Everybody who sees the address can use the session: in a history, a log or a link.")
    if not request.is_secure():
        yield _("Over http, everybody on the way sees it too.")
    if facts.is_readable:
        yield _("The session is in the address, signed but not encrypted.")
    elif not facts.is_session:
        yield _("Whoever can read the store of this site can read the session: %(place)s.") % {
            "place": facts.place
        }


def who_can_change_what_is_stored(facts: EngineFacts) -> Iterator[str]:
    if facts.is_session:
        yield _("An older address leads to older data, while it is valid.")
    else:
        yield from who_can_change_the_data(facts)
