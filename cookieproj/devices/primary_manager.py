"""Managers for what must be read as it was last written."""

from typing import TypeVar

from django.db import models, router

Row = TypeVar("Row", bound=models.Model)


class PrimaryManager(models.Manager[Row]):
    """Rows are read where they are written, though a router may have others read from a replica.

    A replica lags. There the user who has just been signed out everywhere is as before, and
    lets the other devices in; and the one that goes on, by the counter of now, is refused.
    """

    def get_queryset(self) -> models.QuerySet[Row]:
        return super().get_queryset().using(self._db or router.db_for_write(self.model))
