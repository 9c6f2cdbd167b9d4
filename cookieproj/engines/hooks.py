"""Which of a store's methods are a site's own: docs/subclassing.md lists those that may be.

The engines take shorter ways than Django's to the same end. Where a subclass overrides a method
that Django's way goes through, they go that way as well.
"""

from functools import cache

# Classes of ours and of Django's override each other's methods: those are no hooks.
KNOWN = (f"{__package__}.", "django.")


def is_known(owner: type) -> bool:
    return owner.__module__.startswith(KNOWN)


@cache
def overrides(kind: type, *names: str) -> bool:
    """Whether a class that is neither ours nor Django's gives it one of these methods."""
    owners = [owner for owner in kind.__mro__ if not is_known(owner)]
    return any(name in vars(owner) for owner in owners for name in names)
