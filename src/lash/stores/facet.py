"""What every facet is made of."""

from __future__ import annotations

from lash.base.clock import Clock
from lash.base.ids import IdSource
from lash.stores.driver import Driver


class Facet:
    """A driver to run programs, a clock for what is stored, ids for what is new."""

    def __init__(self, driver: Driver, clock: Clock, ids: IdSource) -> None:
        self._driver = driver
        self._clock = clock
        self._ids = ids
