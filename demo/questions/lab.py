"""What the questions are made of: a lab with the running engine, and the registry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.benchmark.namespace import namespaced
from cookieproj.engines.caches import adapter_for
from cookieproj.engines.engine_registry import current_engine
from cookieproj.engines.signed_ids import open_session
from demo.engine_facts import COLOR
from demo.session_cookie import cookie_of
from demo.view_source import source_of

YES, NO = "yes", "no"
YES_OR_NO = {YES: gettext_lazy("Yes, it does"), NO: gettext_lazy("No, it does not")}


@dataclass(frozen=True)
class Lab:
    """The running engine in a namespace of its own, and the steps that were done on it."""

    session_class: Any
    steps: list[str] = field(default_factory=list)

    def say(self, step: str) -> None:
        self.steps.append(step)

    def new_session(self) -> Any:
        session = self.session_class()
        session["color"] = COLOR
        session.save()
        self.say(_("A session is created for this, with color = “%(color)s”.") % {"color": COLOR})
        return session

    def cookie_of(self, session: Any) -> str:
        cookie = cookie_of(session)
        self.say(_("Its cookie has %(length)d characters.") % {"length": len(cookie)})
        return cookie

    def open(self, cookie: str) -> SessionBase:
        """Return the session as a browser with that cookie gets it."""
        return open_session(self.session_class, cookie)

    def restart(self, session: Any) -> None:
        """Delete what this process has of the session in its own memory, as a restart would."""
        if not current_engine().caches_in_process_memory:
            return
        adapter_for(session._cache).delete(session.cache_key_prefix + session.session_key)
        self.say(
            _(
                "This process has an entry of it in its own memory. A restart would delete all of "
                "that memory: this entry is deleted."
            )
        )

    def finds_color(self, cookie: str) -> bool:
        color = self.open(cookie).get("color")
        found = (
            _("A request with that cookie finds color = “%(color)s”.") % {"color": color}
            if color
            else _("A request with that cookie finds an empty session.")
        )
        self.say(found)
        return bool(color == COLOR)


@dataclass(frozen=True)
class Question:
    """A question with its choices by name; ``run`` does it and returns the name of the answer."""

    run: Callable[[Lab], str]
    title: Promise | str
    choices: Mapping[str, Promise]
    why: Mapping[str, Promise | str]

    @property
    def name(self) -> str:
        return self.run.__name__.replace("_", "-")

    @property
    def source(self) -> str:
        return source_of(self.run)


@dataclass(frozen=True)
class Result:
    """What a question's doing has shown: its steps, and the answer by its name."""

    steps: list[str]
    answer: str


QUESTIONS: dict[str, Question] = {}


def question(
    title: Promise | str, choices: Mapping[str, Promise], why: Mapping[str, Promise | str]
) -> Callable[[Callable[[Lab], str]], Callable[[Lab], str]]:
    """Register a function as a question. ``why`` explains each possible answer in a sentence."""

    def register(run: Callable[[Lab], str]) -> Callable[[Lab], str]:
        registered = Question(run, title, choices, why)
        QUESTIONS[registered.name] = registered
        return run

    return register


def answered(name: str) -> Result:
    """Do what the question asks. Raises SessionStoreError if the store fails."""
    with namespaced(current_engine().session_class) as session_class:
        lab = Lab(session_class)
        return Result(answer=QUESTIONS[name].run(lab), steps=lab.steps)
