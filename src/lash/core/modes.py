"""Cores that preset their execution mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Unpack

from lash.base.json import Json
from lash.core.core import LashCore
from lash.core.options import CoreOptions
from lash.protocols.standard import StandardProtocol

if TYPE_CHECKING:
    from lash.lashlang.host.environment import HostEnvironment
    from lash.protocols.rlm.options import RlmConfig
    from lash.protocols.rlm.projections import ProjectionRef, ProjectionResolver


class StandardCore(LashCore):
    """A core in standard mode: native tool calling. Its options are `CoreOptions`."""

    def __init__(self, **options: Unpack[CoreOptions]) -> None:
        super().__init__(protocol=StandardProtocol(), **options)


class RlmCore(LashCore):
    """A core in RLM mode: the model writes programs in lashlang, and tools are modules of the language.

    `rlm` says how programs run and what is shown of them; `projected` binds read-only names in every program,
    by value or by a reference that `resolver` fetches when a program reads it. All else is in `CoreOptions`.
    Added in 0.1.
    """

    def __init__(
        self,
        *,
        rlm: RlmConfig | None = None,
        projected: Mapping[str, Json | ProjectionRef] | None = None,
        resolver: ProjectionResolver | None = None,
        **options: Unpack[CoreOptions],
    ) -> None:
        from lash.protocols.rlm.plugin import RlmProtocol  # the language is loaded by those who use it

        self._rlm = RlmProtocol(rlm, projected=projected, resolver=resolver)
        super().__init__(protocol=self._rlm, **options)

    @property
    def host_environment(self) -> HostEnvironment:
        """What programs of this core are linked against: give it to `lash.lashlang.compile_module`."""
        return self._rlm.environment_of(self._plan.own_catalog())
