"""Relinking a stored module with its own requirements: code is made of nothing that the linker does not accept."""

from __future__ import annotations

from dataclasses import replace

from lash.lashlang.errors import ArtifactHashMismatch
from lash.lashlang.host.catalog import TRIGGERS_PATH
from lash.lashlang.host.environment import HostEnvironment
from lash.lashlang.linking.linker import link
from lash.lashlang.modules.artifact import ModuleArtifact
from lash.lashlang.modules.caches import LruCache


class Relinked:
    """Which modules were relinked. A module never changes under its reference, so once is enough."""

    def __init__(self) -> None:
        self._known: LruCache[str, ModuleArtifact] = LruCache()

    def check(self, artifact: ModuleArtifact) -> None:
        """Raises `LanguageError` when the module does not link to itself."""
        if self._known.find(artifact.module_ref) is artifact:
            return
        linked = link(artifact.canonical_ir, _own_environment(artifact))
        if linked.module_ref != artifact.module_ref:
            raise ArtifactHashMismatch("module_ref", linked.module_ref, artifact.module_ref)
        self._known.keep(artifact.module_ref, artifact)


def _own_environment(artifact: ModuleArtifact) -> HostEnvironment:
    """The requirements as an environment. They never name the triggers ability; the module says it."""
    needs = artifact.host_requirements
    if TRIGGERS_PATH not in needs.resources.module_instances:
        return needs
    return HostEnvironment(needs.resources, replace(needs.abilities, triggers=True), needs.language_features)
