"""A manager for models whose rows must be read as they were last written."""

from typing import TypeVar

from django.db import models, router

Row = TypeVar("Row", bound=models.Model)


class PrimaryManager(models.Manager[Row]):
    """Reads rows from the primary database, even if DATABASE_ROUTERS name a replica for reads.

    On a lagging replica a user who was just signed out everywhere has the old counter: it would
    accept the other devices and refuse the one that stays signed in.
    """

    def get_queryset(self) -> models.QuerySet[Row]:
        return super().get_queryset().using(self._db or router.db_for_write(self.model))
