"""SESSION_RENEW_AGE: a session that lives long gets a new key now and then.

So a key that was copied, from a backup for instance, is of use for a limited time. A renewal takes
two requests, as a browser may never get the response with the new key:

- The response of the first stores the session under a new key, and under the previous key an entry
  that leads there. A request with the previous key gets the session, and the cookie with the new
  key. A late save under the previous key is merged into the session.
- The request that first sends the new key ends the previous one, after GRACE seconds, for requests
  that are under way.

Sessions in cookies have no key: each save makes a new cookie. While SESSION_HANDOVER_FROM is set,
no key is renewed.
"""

import logging
import time
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from .clock import from_now
from .constants import COPIED_TOMBSTONE, KEY_SINCE, RENEWAL_ENDED, RENEWED_FROM, RENEWED_TO
from .english import in_english
from .entries import Entry
from .exceptions import StoreError
from .listing import ListingMixin
from .merge import Data
from .session_keys import SessionKeys
from .signals import copied_session_ended
from .timeouts import seconds_of

logger = logging.getLogger("django.contrib.sessions")

# Seconds for which the previous key opens the session after the browser has sent the new one.
# Longer than any request that has read the session under it, and than most uploads. Also, a late
# response may put the previous key back, and its browser sends nothing while the user reads.
GRACE = 300


@lru_cache(maxsize=1)
def renew_age() -> int | None:
    """Return SESSION_RENEW_AGE. Raises ImproperlyConfigured if it is no number of seconds."""
    seconds = seconds_of("SESSION_RENEW_AGE")
    return None if getattr(settings, "SESSION_HANDOVER_FROM", "") else seconds


def ends_copied() -> bool:
    """Whether a previous key that is used again ends the session: by SESSION_END_COPIED.

    Not in a handover, in which the session may have moved.
    """
    is_on = getattr(settings, "SESSION_END_COPIED", False)
    return bool(is_on) and not getattr(settings, "SESSION_HANDOVER_FROM", "")


class KeyRenewalMixin(SessionKeys, ListingMixin):
    """The part of an engine that renews session keys."""

    # Whether the session has ended because its previous key was used again, by this request or by
    # another one.
    was_copied = False

    # Whether this request was led here from the previous key.
    is_led_here = False

    def has_key_to_renew(self) -> bool:
        """Whether the response should renew the key, end the previous one or set the new cookie."""
        data = self._get_session()
        return bool(self.session_key) and (
            self.is_led_here or RENEWED_FROM in data or self._is_key_due(data)
        )

    def _is_key_due(self, data: Any) -> bool:
        age = renew_age()
        return age is not None and time.time() >= number_in(data, KEY_SINCE) + age

    def continue_renewal(self) -> None:
        """Take the next step of a renewal, if one is due. The session has just been saved.

        If the store fails, a later request tries again.
        """
        data = self._get_session()
        try:
            if self.is_led_here:
                return
            if previous := data.get(RENEWED_FROM):
                self._end_previous_key(str(previous))
            elif self._is_key_due(data):
                self._renew_key()
        except StoreError as error:
            logger.warning("A session key is not renewed. %s", in_english(error))

    def _renew_key(self) -> None:
        data = self._get_session()
        if self._base and self._base.is_copy:
            self._load_behind_copy()
        previous_key, base = self._key, self._base
        if base is None:
            return
        before = dict(data)
        data[RENEWED_FROM] = previous_key

        def insert() -> None:
            self._base = self._insert(dict(data))

        def undo() -> None:
            self._session_key, self._base = previous_key, base
            data.clear()
            data.update(before)

        try:
            self._store_under_new_key(insert)
            leads_here = self._store.compare_and_swap(
                previous_key, base, {RENEWED_TO: self._key}, self._expires()
            )
        except StoreError:
            # The previous key may lead here, or open the session as before: the browser keeps it.
            undo()
            raise
        if leads_here is None:
            # Another request was quicker: it has saved the session, ended it or renewed its key.
            # Undone first: if the store fails now, the browser must not get the new key.
            new_key = self._key
            undo()
            self._store.delete(new_key)
            self._rebase(self._refresh(base))

    def _end_previous_key(self, previous_key: str) -> None:
        """Let the previous key lead here for another GRACE seconds only.

        With SESSION_END_COPIED its entry stays as long as its cookie may: a later request with it
        ends the session. The mark is removed last: if the store fails before, the next request
        tries again.
        """
        store = self._store
        entry = store.read(previous_key, with_expiry=True)
        if entry and entry.renewed_to == self._key:
            if ends_copied():
                ended = {RENEWED_TO: self._key, RENEWAL_ENDED: int(time.time())}
                expires = entry.expires or self._expires()
                store.compare_and_swap(previous_key, entry, ended, expires)
            else:
                store.touch(previous_key, entry, from_now(GRACE))
        del self._get_session()[RENEWED_FROM]
        self.save()

    def _follow(self, entry: Entry | None) -> Entry | None:
        """Return the entry; if its key was renewed, the one under the new key.

        The session has that key from then on.
        """
        while self._is_led_on(entry):
            entry = self._store.refresh(self._key, None)
        return entry

    def _is_led_on(self, entry: Entry | None, *, opens: bool = False) -> bool:
        """Whether the entry leads to a new key. The session then has that key.

        ``opens`` says that a request begins with it: late saves notice no copy.
        """
        new_key = entry and entry.renewed_to
        if entry is None or not new_key:
            return False
        ended = entry.renewal_ended
        if ended is not None and time.time() - ended > GRACE:
            if opens and ends_copied():
                self._end_copied(entry)
            return False
        self._session_key, self.is_led_here = new_key, True
        return True

    def _end_copied(self, entry: Entry) -> None:
        """End the session, which somebody continues under its new key: one of the two is a copy.

        ``entry`` is that of the previous key, which this request has sent. A tombstone under the
        current key tells the other one.
        """
        store, key = self._store, self._key
        current: Entry | None = entry
        while current and (
            current.renewed_to or (current.data and not self._write_tombstone(key, current))
        ):
            if new_key := current.renewed_to:
                key, current = new_key, store.read(new_key, with_expiry=True)
                if current and not self._may_end(current.data):
                    return
            else:
                current = store.refresh(key, current)
        if current is None or not current.data:
            # It has ended already.
            return
        store.delete(self._key)
        self.was_copied = True
        logger.warning("A session has ended: its previous key was used again.")
        copied_session_ended.send(type(self), session=self, data=current.data)

    def _may_end(self, data: Data | None) -> bool:
        return self._admits(data) and not getattr(self.admission, "awaits_proof", False)

    def _write_tombstone(self, key: str, current: Entry) -> Entry | None:
        expires = current.expires or from_now(settings.SESSION_COOKIE_AGE)
        return self._store.compare_and_swap(key, current, COPIED_TOMBSTONE, expires)

    def _note_new_key(self) -> None:
        if renew_age() is not None:
            self._get_session(no_load=True)[KEY_SINCE] = int(time.time())
        self.is_led_here = False

    @classmethod
    def _live_keys(cls, keys: Collection[str]) -> set[str]:
        """Return those of the keys that open a live session, or lead to one."""
        live_keys = super()._live_keys(keys)
        return live_keys if renew_age() is None else set(filter(cls()._leads_to_session, keys))

    def _leads_to_session(self, key: str) -> bool:
        store = self._store
        entry = store.read(key) if store.can_hold(key) else None
        while entry and entry.renewed_to:
            entry = store.read(entry.renewed_to)
        return entry is not None and not entry.is_tombstone

    def _delete(self, key: str) -> None:
        """Delete the session, also under the key that another request gives it at this moment."""
        keys = [key]
        # Also in a handover, which may have begun in the middle of a renewal.
        if seconds_of("SESSION_RENEW_AGE") is not None:
            while new_key := self._delete_unless_renewed(keys[-1]):
                keys.append(new_key)
        for each in reversed(keys):
            self._store.delete(each)

    def _delete_unless_renewed(self, key: str) -> str | None:
        """Delete the session with that key, or return the new key to which it leads."""
        store = self._store
        entry = store.read(key)
        while entry and not entry.renewed_to and not store.compare_and_delete(key, entry):
            # Past the snapshot of a transaction, which would show the same entry for ever.
            entry = store.refresh(key, entry)
        return entry.renewed_to if entry else None


def number_in(data: Any, name: str) -> int:
    number = data.get(name)
    return number if type(number) is int else 0


def forget_setting(*, setting: str, **kwargs: Any) -> None:
    if setting.startswith("SESSION_"):
        renew_age.cache_clear()


setting_changed.connect(forget_setting, dispatch_uid="cookieproj.engines.key_renewal")
