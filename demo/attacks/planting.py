"""Session fixation: an attacker chooses the session key of a victim."""

from collections.abc import Iterator

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .registry import Trial, attempt
from .targets import djangos_and_ours, made_up_key, running_name, temporary_session, title


@attempt(
    gettext_lazy("Plant a session key"),
    gettext_lazy(
        "An attacker plants a session cookie in your browser, and waits until you sign in."
    ),
    gettext_lazy("The attacker gets the victim's signed-in session, because they know its key."),
    gettext_lazy(
        "Django generates every session key itself, and login() replaces it with cycle_key(), so "
        "a planted key is worthless after the sign-in. Code that signs people in by hand must "
        "call cycle_key() too. Our engines do the same. If the cookie contains the session, a "
        "planted one never becomes the victim's."
    ),
)
def fix_a_session_key() -> Iterator[Trial]:
    for engine in djangos_and_ours(running_name()):
        key = made_up_key()
        session = engine.store(key)
        session["color"] = "blue"
        session.save()
        is_accepted = session.session_key == key
        session.delete()
        outcome = (
            _("The site stores the session under that key.")
            if is_accepted
            else _("The site generates a key of its own.")
        )
        target = _("%(engine)s, a made-up key") % {"engine": title(engine)}
        yield Trial(target, outcome, withstood=not is_accepted)

        for cycles_key in (False, True):
            with temporary_session(engine.store, color="blue") as planted:
                victim = engine.store(planted.session_key)
                if cycles_key:
                    victim.cycle_key()
                victim["uid"] = 1
                victim.save()
                is_signed_in = "uid" in engine.store(planted.session_key)
                victim.delete()
            outcome = (
                _("The attacker is signed in.")
                if is_signed_in
                else _("The attacker is not signed in.")
            )
            target = (
                _("%(engine)s, a sign-in by login()")
                if cycles_key
                else _("%(engine)s, a sign-in without cycle_key()")
            )
            yield Trial(target % {"engine": title(engine)}, outcome, withstood=not is_signed_in)
