"""What an answer to the four questions consists of, and the words that all of them share."""

from dataclasses import dataclass, field
from itertools import zip_longest

from django.conf import settings
from django.utils.translation import gettext as _

from cookieproj.engines.engine_registry import EngineRef
from cookieproj.engines.exceptions import SessionStoreError, StoreUnavailableError
from demo.engine_facts import EngineFacts, facts_of
from demo.store_durability import Fate
from demo.wording import joined, listed


@dataclass(frozen=True)
class Event:
    """Something that happens to a session or a cookie, and whether that is kept or ended by it."""

    what: str
    fate: Fate


def kept_if(is_kept: object, what: str) -> Event:
    return Event(what, Fate.KEPT if is_kept else Fate.ENDED)


@dataclass(frozen=True)
class Answers:
    """The answers, as lists of short sentences, for what ``about`` names.

    Of what has ended, ``left`` says what is left, in place of the events that it survives.
    ``is_session`` is whether they are about a session, which the page of questions is about too.
    """

    about: str
    read: list[str]
    change: list[str]
    end: list[str]
    events: list[Event] = field(default_factory=list)
    left: str = ""
    is_session: bool = False

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The first three questions, each with its answer."""
        return [
            (_("Who can read it?"), joined(self.read)),
            (_("Who can change it?"), joined(self.change)),
            (_("When does it end?"), joined(self.end)),
        ]

    @property
    def survives(self) -> str:
        return self._what(Fate.KEPT)

    @property
    def ended_by(self) -> str:
        return self._what(Fate.ENDED)

    @property
    def unknown(self) -> str:
        return self._what(Fate.UNKNOWN)

    def _what(self, fate: Fate) -> str:
        return listed(event.what for event in self.events if event.fate == fate)


def merged(names: list[str], answers: list[Answers]) -> Answers:
    """Return one answer for several cookies. What is not so for each begins with its names."""
    return Answers(
        about="",
        read=shared(names, [answer.read for answer in answers]),
        change=shared(names, [answer.change for answer in answers]),
        end=shared(names, [answer.end for answer in answers]),
        events=[
            Event(text, fate)
            for fate in Fate
            for text in shared(
                names,
                [
                    [event.what for event in answer.events if event.fate == fate]
                    for answer in answers
                ],
            )
        ],
    )


def shared(names: list[str], lists: list[list[str]]) -> list[str]:
    """Return each text once. One that is not in every list gets the names of those that have it."""
    texts = dict.fromkeys(text for row in zip_longest(*lists) for text in row if text)
    having = {
        text: [name for name, items in zip(names, lists, strict=True) if text in items]
        for text in texts
    }
    return [
        text
        if len(having[text]) == len(names)
        else _("%(names)s: %(text)s") % {"names": ", ".join(having[text]), "text": text}
        for text in texts
    ]


@dataclass(frozen=True)
class NoAnswers:
    """Why there are no answers, as one sentence or two."""

    why: str


def no_answers(error: SessionStoreError) -> NoAnswers:
    """Return what is wrong with the store. A public page does not name it."""
    if not settings.DEBUG:
        return NoAnswers(_("The store does not answer now. Load the page again later."))
    if not isinstance(error, StoreUnavailableError):
        return NoAnswers(str(error))
    return NoAnswers(
        _("%(store)s does not answer now. Load the page again later.") % {"store": error.store}
    )


def facts_or_reason(engine: EngineRef) -> EngineFacts | NoAnswers:
    """Return the facts of the engine, or why there are none."""
    try:
        facts = facts_of(engine)
    except SessionStoreError as error:
        return no_answers(error)
    return facts or NoAnswers(_("The engine is not one that this site knows."))


def readers(
    *, is_hidden_from_scripts: object, needs_https: object, is_of_this_machine: bool
) -> list[str]:
    """Return who else gets the cookie's text, by its attributes HttpOnly and Secure."""
    scripts = (
        _("Scripts cannot read the cookie (HttpOnly).")
        if is_hidden_from_scripts
        else _("Scripts on the page can read the cookie too (no HttpOnly).")
    )
    if not needs_https:
        network = _("Over http, everybody on the way can read the cookie too (no Secure).")
    elif is_of_this_machine:
        network = _(
            "The cookie travels over https only (Secure), but Chrome, Edge and Firefox also send "
            "it over http to this machine itself."
        )
    else:
        network = _("The cookie travels over https only (Secure).")
    return [scripts, network]


def changers_on_the_way(*, needs_https: object, is_plain: bool = False) -> list[str]:
    """Return what others on the way can do to the cookie. A plain one they can also edit."""
    if needs_https:
        return []
    return [
        _("Over http, everybody on the way can change and replace the cookie (no Secure).")
        if is_plain
        else _("Over http, everybody on the way can put another cookie in its place (no Secure).")
    ]


def replay() -> str:
    return _("An older one can be put back unnoticed while it is valid.")


def other_sites(samesite: str | bool | None) -> str:
    """Return whether the browser sends the cookie with a form of another site."""
    match str(samesite or "").lower():
        case "strict":
            return _("Requests that begin on another site come without it (SameSite=Strict).")
        case "lax":
            return _("A form that another site posts comes without it (SameSite=Lax).")
        case "none":
            return _("A form that another site posts comes with it (SameSite=None).")
    return _("Whether a form that another site posts comes with it, the browser decides.")


def closing_the_browser(*, has_age: object) -> Event:
    what = (
        _("closing the browser")
        if has_age
        else _("closing the browser, unless it restores its tabs")
    )
    return kept_if(has_age, what)


def change_of_secret_key(*, needs_old_key: object) -> list[Event]:
    return [
        kept_if(True, _("a new SECRET_KEY, with the old one in SECRET_KEY_FALLBACKS")),
        kept_if(not needs_old_key, _("a new SECRET_KEY alone")),
    ]


def nothing_to_change() -> str:
    return _("Nobody: there is nothing left to change.")


def it_has_ended() -> str:
    return _("It has ended.")
