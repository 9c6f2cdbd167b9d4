"""What an engine can do with all sessions of its store, beyond Django's interface."""

from collections.abc import Callable, Collection, Iterator

from .entries import ListedSession, Location, Page
from .handover_mixin import HandoverMixin, class_and_composer, store_of

Progress = Callable[[int], object]

# Expired sessions that one step deletes. For rows that takes about 0.1 s.
BATCH = 50_000


class Estimate(int):
    """An estimated number, because counting would take too long. Pages show it with "about"."""


class ListingMixin(HandoverMixin):
    """Sessions that can be listed, counted and cleared.

    Every method raises NotListableError, with a sentence that says why, if the store does not
    support it, and StoreError if the store fails.
    """

    @classmethod
    def page(cls, position: str = "", size: int = 100) -> Page:
        """Return about ``size`` live sessions from that position on, in the store's own order.

        The cost of a page does not depend on its position or on the number of sessions.
        """
        return store_of(cls).page(position, size)

    @classmethod
    def walk(cls, page_size: int = 1000) -> Iterator[ListedSession]:
        """Yield every live session, with one page of them in memory at a time."""
        return store_of(cls).walk(page_size)

    @classmethod
    def alive(cls, keys: Collection[str]) -> set[str]:
        """Return those of the session keys that open a live session."""
        session_class: type[ListingMixin] = class_and_composer(cls)[0]
        return session_class._live_keys(keys)

    @classmethod
    def _live_keys(cls, keys: Collection[str]) -> set[str]:
        return cls()._store.live_keys(keys)

    @classmethod
    def count(cls) -> int:
        """Return the number of stored sessions, including expired ones that are not cleared yet.

        It is an Estimate if the store is so large that counting is expensive.
        """
        return store_of(cls).count()

    @classmethod
    def count_expired(cls) -> int:
        """Return how many sessions ``clear_expired`` would delete now."""
        return store_of(cls).count_expired()

    @classmethod
    def clear_expired(  # type: ignore[override]
        cls, *, batch_size: int = BATCH, progress: Progress | None = None
    ) -> int:
        """Delete expired sessions in batches; return how many were deleted.

        Other requests go on between two batches, and an interruption loses nothing. ``progress`` is
        called after each batch with the number deleted so far. The result is 0 if the store itself
        deletes expired sessions.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, not {batch_size}")
        cleared = 0
        for deleted in store_of(cls).clear(batch_size):
            cleared += deleted
            if progress:
                progress(cleared)
        return cleared

    def locate(self) -> list[Location]:
        """Return where this session is stored, and its exact bytes there; empty if it is not."""
        return self._store.locate(self.session_key) if self.session_key else []
