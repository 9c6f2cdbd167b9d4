"""Two requests of one browser at the same time."""

from collections.abc import Iterator

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .registry import Trial, attempt
from .targets import engines_to_try, temporary_session, title


@attempt(
    gettext_lazy("Write from two requests at once"),
    gettext_lazy("Two requests from one browser read the session, and each sets a different key."),
    gettext_lazy("The user loses what one of the requests has stored. No attacker is needed."),
    gettext_lazy(
        "Django writes the request's copy of the whole session, so the later save overwrites the "
        "earlier one. Our engines on the server notice that the stored session has changed, merge "
        "it key by key, and try again. If two requests set the same key, the later save wins with "
        "either engine: use apply() for a counter. With sessions in cookies either engine loses a "
        "write: each response sets a cookie of its own, and the browser keeps the last one."
    ),
)
def write_twice_at_once() -> Iterator[Trial]:
    for engine in engines_to_try():
        with temporary_session(engine.store, shared="data") as session:
            first, second = (engine.store(session.session_key) for _request in range(2))
            # Both load the session before either saves it.
            for request_session, key in ((first, "first"), (second, "second")):
                request_session[key] = "set"
            first.save()
            second.save()
            # The browser has the cookie of the last response.
            lost = {"first", "second"} - set(engine.store(second.session_key).keys())
        outcome = _("Lost: %s.") % ", ".join(sorted(lost)) if lost else _("Both keys are stored.")
        yield Trial(title(engine), outcome, withstood=not lost)


@attempt(
    gettext_lazy("Sign in twice at once"),
    gettext_lazy(
        "Two tabs of one browser, with the same session cookie, sign in at the same time: one as "
        "Ada, one as Bob. A thief has a copy of the cookie from before."
    ),
    gettext_lazy(
        "A user gets what the other one stores, or the thief's cookie still opens a session."
    ),
    gettext_lazy(
        "login() gives each tab a key of its own, with a copy of the anonymous session, and "
        "deletes the old key. So neither user gets what the other stores, and the browser is "
        "signed in as whoever's response came last. Django's engines and ours both do so. If the "
        "cookie contains the session, nothing can be deleted: with either, the old cookie still "
        "opens the anonymous session, and never one that is signed in."
    ),
)
def sign_in_twice_at_once() -> Iterator[Trial]:
    for engine in engines_to_try():
        with temporary_session(engine.store, cart="cookies") as anonymous:
            old_key = anonymous.session_key
            tabs = {user: engine.store(old_key) for user in ("Ada", "Bob")}
            # Both load the session before either signs in, and both sign in before either saves.
            for session in tabs.values():
                session.get("cart")
            for session in tabs.values():
                # As login() does.
                session.cycle_key()
            for user, session in tabs.items():
                session["user"] = session[f"order of {user}"] = user
                session.save()
            opened = engine.store(old_key)
            opens_user, opens_cart = "user" in opened, "cart" in opened
            expected = {
                user: {"cart": "cookies", "user": user, f"order of {user}": user} for user in tabs
            }
            stored = {
                user: dict(engine.store(session.session_key).items())
                for user, session in tabs.items()
            }
            for session in tabs.values():
                session.delete()
        if opens_user:
            outcome = _("The old cookie is signed in.")
        elif stored != expected:
            outcome = _("The sessions of the two users are mixed up.")
        elif opens_cart:
            outcome = _("The users are kept apart, but the old cookie opens the anonymous session.")
        else:
            outcome = _("The users are kept apart, and the old cookie opens nothing.")
        is_clean = stored == expected and not (opens_user or opens_cart)
        yield Trial(title(engine), outcome, withstood=is_clean)
