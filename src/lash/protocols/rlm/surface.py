"""Tools as modules of the language: what programs may call, recorded with the turn's environment.

A tool `lookup` with `module="orders"` is `orders.lookup`, without one `tools.lookup`. What a
turn was prepared with is recorded, and its cells link against that in every drive: a tool or a
source of triggers that is gone after a restart changes no program that ran with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from lash.base.json import Json, JsonObject
from lash.lashlang.host.environment import HostEnvironment
from lash.lashlang.modules.requirements_json import requirements_from_json
from lash.machine.prompt import PromptContribution
from lash.plugins.hooks import ExtensionContribution
from lash.protocols.rlm.options import RlmConfig
from lash.tools.catalog import ToolCatalog
from lash.tools.surface import (
    SURFACE_EXTENSION_ID,
    Offered,
    Surface,
    binding_of,
    environment_with,
    offered_by,
    surface_of,
)

LASHLANG_SURFACE_EXTENSION_ID: Final = SURFACE_EXTENSION_ID
_HOST: Final = "host_environment"


def lashlang_surface(environment: HostEnvironment) -> ExtensionContribution:
    """What a plugin adds to every program's host: abilities, features, data types, constructors, trigger sources.

    Return it from the factory's `extension_contributions`. Added in 0.1.
    """
    return ExtensionContribution(LASHLANG_SURFACE_EXTENSION_ID, environment.as_json())


def base_environment(config: RlmConfig, contributions: Iterable[Json]) -> HostEnvironment:
    """What programs meet besides tools: the configuration, and what plugins add. Raises `LanguageError`."""
    return environment_with(config.abilities, config.language_features, contributions)


@dataclass(frozen=True, slots=True)
class Offer:
    """The tools of one catalog: as they are recorded, as programs reach them, as the model is told.

    The last of `offered` is what programs meet besides tools.
    """

    catalog: ToolCatalog
    offered: list[JsonObject]
    surface: Surface
    # By the tools that are concealed: mostly by none.
    told: dict[frozenset[str], list[PromptContribution]] = field(default_factory=dict)


class Offers:
    """What catalogs come to. Sessions of one core mostly share a catalog, and then share all of it."""

    # A core has a handful of shapes of session; beyond them the oldest is made anew.
    CAPACITY = 32

    def __init__(
        self,
        base: HostEnvironment,
        tell: Callable[[ToolCatalog, Surface, frozenset[str]], list[PromptContribution]],
    ) -> None:
        self._base = base
        # Stands behind the tools: what else programs meet.
        self._host: JsonObject = {_HOST: base.as_json()}
        self._tell = tell
        self._known: OrderedDict[int, Offer] = OrderedDict()

    def of(self, catalog: ToolCatalog) -> Offer:
        """What this catalog comes to. Raises `CatalogError` for modules that contradict each other."""
        known = self._known.get(id(catalog))
        if known is not None:  # it keeps its catalog, so the id cannot be another's
            return known
        tools = offered_by(catalog)
        surface = surface_of(tools, self._base)
        offer = Offer(catalog, [*tools, self._host], surface)
        self._known[id(catalog)] = offer
        if len(self._known) > self.CAPACITY:
            self._known.popitem(last=False)
        return offer

    def told(self, offer: Offer, concealed: frozenset[str]) -> list[PromptContribution]:
        """What the model is told of an offer."""
        known = offer.told.get(concealed)
        if known is None:
            if len(offer.told) >= self.CAPACITY:
                offer.told.clear()
            known = offer.told[concealed] = self._tell(offer.catalog, offer.surface, concealed)
        return known

    def recorded(self, offered: Sequence[Json]) -> Surface:
        """The surface as it was recorded."""
        for offer in self._known.values():
            if offer.offered is offered or offer.offered == offered:
                return offer.surface
        *tools, last = offered or [self._host]
        if isinstance(last, dict) and _HOST in last:
            return surface_of(tools, requirements_from_json(last[_HOST]))
        return surface_of(offered, self._base)


__all__ = [
    "LASHLANG_SURFACE_EXTENSION_ID",
    "Offer",
    "Offered",
    "Offers",
    "Surface",
    "base_environment",
    "binding_of",
    "lashlang_surface",
    "offered_by",
    "surface_of",
]
