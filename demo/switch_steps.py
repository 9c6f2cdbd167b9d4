"""The steps of a switch from one engine to another, with the commands of each."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cookieproj.engines.constants import (
    CACHE,
    CACHED_DB,
    DB,
    ENCRYPTED_COOKIES,
    FILE,
    MONGODB,
    SIGNED_COOKIES,
)
from cookieproj.engines.handover import previous_alias
from cookieproj.engines.handover.movable_engines import handover_engine

from .wording import joined

ENGINES_IN_COOKIES = {SIGNED_COOKIES, ENCRYPTED_COOKIES}
# These engines use the same table, so a switch between them moves no session.
ENGINES_WITH_SAME_ROWS = {DB, CACHED_DB}
SECONDS_A_DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Step:
    """One step of a switch: what to do, why, and its commands."""

    title: str
    text: str
    commands: str = ""


@dataclass(frozen=True)
class Switch:
    """A switch from one engine to another."""

    old: str
    new: str

    @property
    def keeps_session_keys(self) -> bool:
        return not ENGINES_IN_COOKIES & {self.old, self.new}

    @property
    def has_same_rows(self) -> bool:
        return {self.old, self.new} == ENGINES_WITH_SAME_ROWS

    @property
    def can_hand_over(self) -> bool:
        """Whether the new engine can take sessions over: those in process memory have ended."""
        return not (self.old == CACHE and old_cache_is_process_memory())

    @property
    def moves_into_process_memory(self) -> bool:
        return self.new == CACHE and handover_engine(CACHE).is_in_process_memory

    @property
    def what_happens(self) -> str:
        """What happens to a session when its browser sends the next request."""
        if not self.can_hand_over:
            return _(
                "CACHE_URL names no server, so the sessions of cache are in the memory of the "
                "site's process. The restart that switches the engine ends them, and everybody is "
                "signed out: a handover finds nothing to take over."
            )
        if not self.moves_into_process_memory:
            return self.what_happens_in_a_handover
        return joined(
            [
                self.what_happens_in_a_handover,
                _(
                    "CACHE_URL names no server, so that store is the memory of the site's process: "
                    "each restart ends the sessions that have moved, and signs their users out."
                ),
            ]
        )

    @property
    def what_happens_in_a_handover(self) -> str:
        if {self.old, self.new} == ENGINES_IN_COOKIES:
            return _(
                "With its next request the session moves into a cookie of the new form. The old "
                "cookie stays valid until it expires or the site refuses its session."
            )
        if self.new in ENGINES_IN_COOKIES:
            return _(
                "With its next request the session moves into the cookie itself. A session too "
                "large for a cookie stays in the old store, and the log says so. Such a session "
                "lasts only as long as the handover."
            )
        if self.old in ENGINES_IN_COOKIES:
            return _(
                "With its next request the session moves to the server, and the new cookie "
                "contains only its key. The old cookie stays valid for the same session, and "
                "becomes invalid when that session ends."
            )
        if self.has_same_rows:
            return _(
                "Both engines use the same rows, so the session does not have to move, and nobody "
                "is signed out. The handover is for the copies in the cache: it keeps them from "
                "being used once they are older than their row."
            )
        return _(
            "With its next request the session moves to the new store. It keeps its key and its "
            "expiry, so the browser's cookie stays the same. From then on it costs what any "
            "session costs with the new engine."
        )

    def steps(self) -> Iterator[Step]:
        yield Step(_("Prepare the new store"), self.readiness)
        if self.can_hand_over:
            yield from self.handover_steps()
        else:
            yield Step(
                _("Switch"),
                _("Restart with the new engine. Everybody has to sign in again, once."),
                environment(self.new),
            )
        rolled_back = environment(self.old, "" if self.moves_into_process_memory else self.new)
        yield Step(_("Roll back, if you have to"), self.rolling_back, rolled_back)

    def handover_steps(self) -> Iterator[Step]:
        # Several processes cannot share the memory of one.
        if not self.moves_into_process_memory:
            yield Step(
                _("With several processes: prepare the running ones"),
                self.preparing,
                environment(self.old, self.new),
            )
        yield Step(_("Switch"), self.switching, environment(self.new, self.old))
        yield Step(_("Move the remaining sessions"), self.remaining, self.remaining_command)
        yield Step(_("End the handover"), self.ending, environment(self.new))

    @property
    def preparing(self) -> str:
        """What to do before processes are replaced one by one."""
        if self.has_same_rows:
            return _(
                "While processes are replaced one by one, old and new ones serve the same users. "
                "First restart the old ones with the reverse handover, so that none of them leaves "
                "a copy in the cache that is older than its row. Skip this step if you have only "
                "one process, or can stop all of them for a moment."
            )
        return _(
            "While processes are replaced one by one, old and new ones serve the same users. "
            "First restart the old ones with the reverse handover, so that each finds the "
            "sessions that the other has moved. Skip this step if you have only one process, "
            "or can stop all of them for a moment."
        )

    @property
    def switching(self) -> str:
        """What the restart with the new engine does to sessions."""
        if self.has_same_rows:
            return _(
                "Each session stays in its row. Nobody is signed out. Keep CACHE_URL as it is "
                "until the handover has ended."
            )
        if self.moves_into_process_memory:
            return _(
                "Each session moves when it is next used. Nobody is signed out before the next "
                "restart. Keep the settings of the old store, such as MONGODB_URL, until the "
                "handover has ended."
            )
        return _(
            "Each session moves when it is next used. Nobody is signed out. Keep the settings "
            "of the old store, such as CACHE_URL or MONGODB_URL, until the handover has ended."
        )

    @property
    def ending(self) -> str:
        """When to end the handover."""
        if self.has_same_rows:
            return _(
                "Restart without SESSION_HANDOVER_FROM when no process runs on %(engine)s any "
                "more, and the command has deleted the copies."
            ) % {"engine": self.old}
        if self.moves_into_process_memory:
            return _(
                "Restart without SESSION_HANDOVER_FROM. This ends the sessions that have moved "
                "too, and those that have not moved stay unused in the old store."
            )
        days = settings.SESSION_COOKIE_AGE // SECONDS_A_DAY
        text = ngettext(
            "Restart without SESSION_HANDOVER_FROM when all sessions have moved, or after "
            "%(days)d day, when all unused sessions have expired.",
            "Restart without SESSION_HANDOVER_FROM when all sessions have moved, or after "
            "%(days)d days, when all unused sessions have expired.",
            days,
        )
        return text % {"days": days}

    @property
    def rolling_back(self) -> str:
        if self.moves_into_process_memory:
            return _(
                "A rollback restarts the site, so the sessions that have moved end. Those that are "
                "still in the old store open again."
            )
        if self.can_hand_over:
            return _("A rollback is the same switch in the other direction. It works at any time.")
        return _(
            "A rollback takes the new sessions over, at any time. But in the memory of the site's "
            "process they end with its next restart."
        )

    @property
    def readiness(self) -> str:
        """How to prepare the new store."""
        return {
            DB: _("Run manage.py migrate, which creates the table django_session."),
            CACHE: _("Set CACHE_URL to a Redis or memcached that all processes can reach."),
            CACHED_DB: _(
                "Run manage.py migrate, which creates the table django_session, and set CACHE_URL "
                "to a Redis or memcached that all processes can reach."
            ),
            FILE: _("Set SESSION_FILE_PATH to a folder that all processes may write to."),
            MONGODB: _(
                "Set MONGODB_URL to a MongoDB that all processes can reach, with the name of a "
                "database. The collection and its index are created with the first session."
            ),
            SIGNED_COOKIES: _(
                "There is no store: SECRET_KEY signs the cookies. Anybody who has a cookie can "
                "read it, and it can hold no more than 4,096 bytes."
            ),
            ENCRYPTED_COOKIES: _(
                "There is no store: SECRET_KEY encrypts the cookies. Nobody else can read one. It "
                "can hold no more than 4,096 bytes, which is about 2,900 bytes of JSON."
            ),
        }[self.new]

    @property
    def remaining(self) -> str:
        """How to move the sessions whose browsers send no request."""
        if not self.keeps_session_keys:
            return _(
                "There is nothing to do here: only a browser can send or store such a cookie, "
                "so each session moves with its next request."
            )
        if self.has_same_rows:
            return _(
                "There are none. This command deletes the copies in the cache, if there are any."
            )
        if self.moves_into_process_memory:
            return _(
                "No command can do this: it would move them into the memory of its own process. "
                "Each session moves when it is next used."
            )
        return _(
            "Run this at any time, as often as you like. You can stop it and start it again, and "
            "it leaves alone the sessions that the new store already has. Before the switch it "
            "makes copies, and the originals count until they have moved. A store that cannot "
            "list its keys, such as memcached, cannot be moved ahead: each of its sessions moves "
            "when it is next used."
        )

    @property
    def remaining_command(self) -> str:
        if not self.keeps_session_keys or self.moves_into_process_memory:
            return ""
        command = f"python manage.py movesessions --from {self.old} --to {self.new}"
        return (
            environment(self.new, self.old, f"{command} --dry-run")
            + "\n"
            + environment(self.new, self.old, command)
        )


def old_cache_is_process_memory() -> bool:
    """Whether the sessions of cache, before a switch, are in the memory of one process."""
    return handover_engine(CACHE, previous_alias()).is_in_process_memory


def environment(profile: str, previous: str = "", command: str = "scripts/run") -> str:
    """Return a shell command with the variables of a profile and of a handover."""
    handover = f"SESSION_HANDOVER_FROM={previous} " if previous else ""
    return f"SESSION_PROFILE={profile} {handover}{command}"
