"""What an engine tells of all the sessions in its store, beyond Django's interface."""

from collections.abc import Callable, Collection, Iterator

from .entries import ListedSession, Location, Page
from .handover_mixin import HandoverMixin, class_and_composer, store_of

Progress = Callable[[int], object]

# Expired sessions that one step removes: of rows, about a tenth of a second.
BATCH = 50_000


class Estimate(int):
    """A count that was estimated, as to count them all would take too long: pages say "about"."""


class ListingMixin(HandoverMixin):
    """Sessions that can be listed, counted and cleared.

    Every method raises NotListableError where the store cannot do it, with a sentence
    that says why, and StoreError where it does not answer.
    """

    @classmethod
    def page(cls, position: str = "", size: int = 100) -> Page:
        """About ``size`` live sessions, in the store's own order, from that position on.

        A page costs the same wherever it stands and however many sessions there are.
        """
        return store_of(cls).page(position, size)

    @classmethod
    def walk(cls, page_size: int = 1000) -> Iterator[ListedSession]:
        """Every live session, a page of them in memory at a time."""
        return store_of(cls).walk(page_size)

    @classmethod
    def alive(cls, keys: Collection[str]) -> set[str]:
        """Those of the session keys that open a live session."""
        kind: type[ListingMixin] = class_and_composer(cls)[0]
        return kind._live_keys(keys)

    @classmethod
    def _live_keys(cls, keys: Collection[str]) -> set[str]:
        return cls()._store.live_keys(keys)

    @classmethod
    def count(cls) -> int:
        """How many sessions are stored, the expired ones that are not yet cleared among them.

        An Estimate where the store holds so much that an exact number has a price.
        """
        return store_of(cls).count()

    @classmethod
    def count_expired(cls) -> int:
        """How many sessions ``clear_expired`` would remove now."""
        return store_of(cls).count_expired()

    @classmethod
    def clear_expired(  # type: ignore[override]
        cls, *, batch_size: int = BATCH, progress: Progress | None = None
    ) -> int:
        """Remove expired sessions and say how many they were.

        Each batch is a short step of its own: between two of them other requests go on,
        and an interruption loses nothing. ``progress`` is called after each with the
        number removed so far. 0 where the store forgets by itself.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, not {batch_size}")
        cleared = 0
        for removed in store_of(cls).clear(batch_size):
            cleared += removed
            if progress:
                progress(cleared)
        return cleared

    def locate(self) -> list[Location]:
        """Where this session is stored, and the exact bytes there; empty where it is not."""
        return self._store.locate(self.session_key) if self.session_key else []
