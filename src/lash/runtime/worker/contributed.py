"""Process engines that plugins bring along (docs/spec/runtime.md §7.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from lash.plugins.errors import PluginRegistrationError
from lash.plugins.plugin import PluginFactory
from lash.runtime.worker.engines import ProcessEngine


@runtime_checkable
class ContributesEngines(Protocol):
    """What a plugin factory adds that runs processes of kinds of its own. Added in 0.1.

    ```python
    class Shell(lash.Plugin):
        id = "shell"

        def process_engines(self) -> Mapping[str, ProcessEngine]:
            return {"shell": ShellEngine()}

    await core.processes.start(EngineInput("shell", {"command": "make"}))
    ```

    Any core on the store may start such a process; workers of cores that have the plugin run it, and in
    another one it ends as `process_engine_missing`.
    """

    def process_engines(self) -> Mapping[str, ProcessEngine]:
        """Engines by the kind of the inputs that they run. Asked once, when the core is built."""
        ...


def engines_of(factories: Sequence[PluginFactory]) -> dict[str, ProcessEngine]:
    """The engines of all plugins. Raises `PluginRegistrationError` for a kind that two of them run."""
    found: dict[str, ProcessEngine] = {}
    owners: dict[str, str] = {}
    for factory in factories:
        if not isinstance(factory, ContributesEngines):
            continue
        for kind, engine in factory.process_engines().items():
            if kind in owners:
                raise PluginRegistrationError(
                    f"plugins {owners[kind]!r} and {factory.id!r} both run processes of kind {kind!r}; keep one of them"
                )
            found[kind], owners[kind] = engine, factory.id
    return found
