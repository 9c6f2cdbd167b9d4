"""Questions about a session whose store or browser loses it, or whose time is over."""

from datetime import timedelta

from django.utils import timezone
from django.utils.functional import lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cookieproj.engines.caches import adapter_for
from cookieproj.engines.constants import CACHE, CACHED_DB
from cookieproj.engines.cookie_settings import cookie_from_settings
from cookieproj.engines.engine_registry import current_engine
from demo.engine_facts import facts_of
from demo.wording import duration

from .lab import NO, YES, YES_OR_NO, Lab, question


@question(
    gettext_lazy("The site deletes the session in its store. Does the cookie still open it?"),
    YES_OR_NO,
    {
        YES: gettext_lazy(
            "The cookie is the session, so the site has nothing to delete. It can only keep a "
            "list of the sessions that it refuses."
        ),
        NO: gettext_lazy("Without the stored session, the key in the cookie opens nothing."),
    },
)
def delete_the_stored_session(lab: Lab) -> str:
    session = lab.new_session()
    cookie = lab.cookie_of(session)
    lab.session_class(session.session_key).delete()
    lab.say(_("session.delete() has been called for it."))
    return YES if lab.finds_color(cookie) else NO


def why_the_cache_is_not_all() -> str:
    if current_engine().name in {CACHE, CACHED_DB}:
        return _("The cache is not the only place that has the session.")
    return _("This engine uses no cache.")


@question(
    gettext_lazy("The cache loses the session, as when it is cleared. Does the cookie open it?"),
    YES_OR_NO,
    {
        YES: lazy(why_the_cache_is_not_all, str)(),
        NO: gettext_lazy("The cache was the only place that had the session."),
    },
)
def clear_the_cache(lab: Lab) -> str:
    session = lab.new_session()
    cookie = lab.cookie_of(session)
    if hasattr(session, "_cache"):
        adapter_for(session._cache).delete(session.cache_key_prefix + session.session_key)
        lab.say(_("Its entry in the cache is deleted; others stay."))
    else:
        lab.say(_("This engine uses no cache, so there is nothing to clear."))
    return YES if lab.finds_color(cookie) else NO


def why_it_survives_a_restart() -> str:
    if current_engine().caches_in_process_memory:
        return _(
            "The process had only a copy in its own memory. The row in the database is still there."
        )
    return _("No process of the site has the session in its own memory.")


@question(
    gettext_lazy("The site restarts. Does the cookie still open the session?"),
    YES_OR_NO,
    {
        YES: lazy(why_it_survives_a_restart, str)(),
        NO: gettext_lazy(
            "The cache is the memory of one process of the site, and ends with it. Name a server "
            "in CACHES, or choose another engine."
        ),
    },
)
def restart_the_site(lab: Lab) -> str:
    session = lab.new_session()
    cookie = lab.cookie_of(session)
    lab.restart(session)
    facts = facts_of(current_engine())
    if facts and not current_engine().is_in_process_memory:
        lab.say(
            _("It is in %(place)s, which a restart of the site leaves alone.")
            % {"place": facts.place}
        )
    return YES if lab.finds_color(cookie) else NO


@question(
    gettext_lazy(
        "The session's time is over. Does a copy of the cookie, which somebody has kept, still "
        "open it?"
    ),
    YES_OR_NO,
    {
        YES: gettext_lazy(
            "Django's signed_cookies looks only at the time of the signature, and takes no notice "
            "of set_expiry()."
        ),
        NO: gettext_lazy(
            "The site checks the time itself. That the browser deletes its cookie then is not what "
            "protects you."
        ),
    },
)
def use_it_after_its_end(lab: Lab) -> str:
    session = lab.new_session()
    lab.say(
        _("It would end %(time)s after its last change, by this site's settings.")
        % {"time": duration(session.get_expiry_age())}
    )
    session.set_expiry(timezone.now() - timedelta(seconds=1))
    session.save()
    lab.say(_("set_expiry() puts its end to one second ago."))
    return YES if lab.finds_color(lab.cookie_of(session)) else NO


@question(
    gettext_lazy("You close the browser and open it again. Does it still have the cookie?"),
    YES_OR_NO,
    {
        YES: gettext_lazy(
            "The cookie has Max-Age and Expires, so the browser keeps it until then. With "
            "SESSION_EXPIRE_AT_BROWSER_CLOSE = True the cookie has neither."
        ),
        NO: gettext_lazy(
            "Without Max-Age and Expires a cookie ends with the browser. But a browser that "
            "restores its windows and tabs when it starts keeps it, so do not rely on this: the "
            "site ends the session at its time all the same."
        ),
    },
)
def close_the_browser(lab: Lab) -> str:
    session = lab.new_session()
    age = None if session.get_expire_at_browser_close() else session.get_expiry_age()
    line = cookie_from_settings("SESSION_COOKIE", "key", age)
    lab.say(
        _("This page cannot close your browser. What decides is the line that sets the cookie.")
    )
    lab.say(f"Set-Cookie: {line.OutputString().replace('=key', '=…', 1)}")
    has_age = bool(line["max-age"] or line["expires"])
    lab.say(
        _("It has Max-Age and Expires.") if has_age else _("It has neither Max-Age nor Expires.")
    )
    return YES if has_age else NO
