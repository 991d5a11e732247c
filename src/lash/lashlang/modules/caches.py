"""Caches of linked programs and compiled bodies (specification §8.6).

They change speed only. Everything in them is immutable and keyed by content;
each has a bound and counts its hits. A linked program is reused only while the
current environment satisfies what it needs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from operator import is_
from typing import Final, Generic, TypeVar

from lash.lashlang.codegen.bodies import COMPILER_VERSION, CompiledBody, compile_body
from lash.lashlang.dialect import IMPROVED, Dialect
from lash.lashlang.host.environment import HostEnvironment
from lash.lashlang.linking.linker import LinkedModule, link
from lash.lashlang.modules.artifact import ModuleArtifact
from lash.lashlang.syntax.parser import parse

CACHE_SIZE: Final = 64
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class CacheStatistics:
    """How often a cache had what was asked for."""

    hits: int = 0
    misses: int = 0


class LruCache(Generic[K, V]):
    """The most recently used entries."""

    def __init__(self, size: int = CACHE_SIZE) -> None:
        self._size = size
        self._entries: OrderedDict[K, V] = OrderedDict()
        self.statistics = CacheStatistics()

    def find(self, key: K, accept: Callable[[V], bool] | None = None) -> V | None:
        """The entry, if there is one and it is accepted."""
        found = self._entries.get(key)
        if found is None or (accept is not None and not accept(found)):
            self.statistics.misses += 1
            return None
        self._entries.move_to_end(key)
        self.statistics.hits += 1
        return found

    def keep(self, key: K, value: V) -> V:
        """Adds an entry, dropping the oldest beyond the size."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
        return value


class Compiler:
    """Links and compiles through caches. One per runtime; not shared between threads."""

    def __init__(self, *, dialect: Dialect = IMPROVED, size: int = CACHE_SIZE) -> None:
        self.dialect = dialect
        self.linked: LruCache[tuple[str, tuple[str, ...]], LinkedModule] = LruCache(size)
        self.bodies: LruCache[tuple[Hashable, ...], CompiledBody] = LruCache(size)
        # The parts of the last environment and its text; a host seldom has many.
        self._last: tuple[tuple[object, ...], str] | None = None

    def link(self, source: str, environment: HostEnvironment) -> LinkedModule:
        """The linked module of `source`. Raises `ParseError` or `LinkError`."""
        # Names resolve by what the host offers, so a surface with other modules
        # may give another program; what it needs alone cannot show that.
        key = (source, (self._surface(environment),))
        found = self.linked.find(key, lambda module: environment.satisfies(module.requirements))
        if found is not None:
            return found
        program = parse(source, dialect=self.dialect, features=environment.language_features)
        return self.linked.keep(key, link(program, environment, dialect=self.dialect, source=source))

    def _surface(self, environment: HostEnvironment) -> str:
        parts = (*environment.resources.maps(), environment.abilities, environment.language_features)
        last = self._last
        if last is None or not all(map(is_, last[0], parts)):
            last = self._last = (parts, repr(environment.as_json()))
        return last[1]

    def compile(
        self,
        artifact: ModuleArtifact,
        process: str | None,
        *,
        traced: bool = False,
        readonly: frozenset[str] = frozenset(),
        lazy: frozenset[str] = frozenset(),
        keeps_lazy: bool = False,
        keeps_refs: Mapping[tuple[str, str], str] | None = None,
    ) -> CompiledBody:
        """The compiled main block or process.

        Keyed with the module reference: compiled code embeds it, and two modules
        may share a process but not its siblings.
        """
        refs = _called_of(keeps_refs, artifact) if keeps_refs and (keeps_lazy or lazy) else {}
        process_key = None if process is None else artifact.exports[process].key
        key = (
            artifact.module_ref,
            artifact.host_requirements_ref,
            process_key,
            traced,
            readonly,
            lazy,
            keeps_lazy or bool(lazy),
            frozenset(refs.items()),
            self.dialect.name,
            COMPILER_VERSION,
        )
        found = self.bodies.find(key)
        if found is not None:
            return found
        made = compile_body(
            artifact,
            process,
            self.dialect,
            traced=traced,
            readonly=readonly,
            lazy=lazy,
            keeps_lazy=keeps_lazy,
            keeps_refs=refs,
        )
        return self.bodies.keep(key, made)


def _called_of(keeps_refs: Mapping[tuple[str, str], str], artifact: ModuleArtifact) -> dict[tuple[str, str], str]:
    """Those of the operations that the module may call; their modules may be known only when it runs."""
    types = artifact.host_requirements.resources.resource_types.values()
    called = {operation for operations in types for operation in operations}
    return {at: field for at, field in keeps_refs.items() if at[1] in called}
