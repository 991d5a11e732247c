"""From the source of a program to what is stored of it: a module by its content, and references to one process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from lash.base.json import Json, JsonObject
from lash.lashlang.errors import LanguageError, LinkError, ParseError
from lash.lashlang.execution.arguments import argument_problem
from lash.lashlang.host.environment import ALL_ABILITIES, HostEnvironment
from lash.lashlang.modules.artifact import ModuleArtifact
from lash.lashlang.modules.caches import Compiler
from lash.lashlang.modules.compilation import diagnose
from lash.lashlang.syntax.features import ALL_FEATURES
from lash.lashlang.values.json_form import from_json as value_of
from lash.processes.definitions import ProcessDefinition
from lash.processes.event_types import ProcessEventType
from lash.processes.inputs import LashlangProcessInput
from lash.runtime.programs.definition import LangProcess
from lash.runtime.programs.modules import Modules, ProgramUnavailable, declaration_of, definition_of, signal_types
from lash.runtime.work import InvalidWork
from lash.tools.catalog import ToolCatalog
from lash.tools.surface import environment_with, offered_by, surface_of


class InvalidProgram(InvalidWork):
    """A program cannot be started, or not with these arguments; nothing was started."""

    code = "process_program_invalid"


class ProgramPlanner:
    """Stores programs, and makes inputs of their processes."""

    def __init__(self, modules: Modules, catalog: Callable[[], ToolCatalog], contributions: Sequence[Json]) -> None:
        self._modules = modules
        self._catalog = catalog
        self._contributions = contributions
        # Starting one program many times compiles it once.
        self._compiler = Compiler()
        self._last: tuple[ToolCatalog, HostEnvironment] | None = None

    def environment(self) -> HostEnvironment:
        """What programs are linked against here; the same object while the tools are. Raises `LanguageError`."""
        catalog = self._catalog()
        if self._last is None or self._last[0] is not catalog:
            base = environment_with(ALL_ABILITIES, ALL_FEATURES, self._contributions)
            self._last = (catalog, surface_of(offered_by(catalog), base).environment)
        return self._last[1]

    async def definition(self, what: LangProcess) -> ProcessDefinition:
        """Compiles and stores; the process by reference. Raises `InvalidProgram`."""
        try:
            environment = self.environment()
        except LanguageError as error:
            raise InvalidProgram(f"programs cannot be linked to these tools: {error.message}") from error
        try:
            artifact = self._compiler.link(what.source, environment).artifact
        except (ParseError, LinkError) as error:
            found = diagnose("link", error, what.source)
            where = "" if found.line is None else f"line {found.line}, column {found.column}: "
            raise InvalidProgram(f"the program cannot be started: {where}{_one_line(found.message)}") from error
        if artifact.canonical_ir.main.items:
            raise InvalidProgram(
                "the program has statements outside its processes, which nobody would run; put them into a process"
            )
        name = _chosen(artifact, what.process)
        await self._modules.keep(artifact)
        return definition_of(artifact, name)

    async def input(
        self, definition: ProcessDefinition, args: JsonObject, inputs: Collection[str] | None = None
    ) -> tuple[LashlangProcessInput, list[ProcessEventType]]:
        """The input of a stored process, and the signals it takes. Raises `InvalidProgram`.

        With `inputs` the arguments are those that are given now; occurrences fill in the others.
        """
        try:
            artifact = await self._modules.load(definition)
        except ProgramUnavailable as error:
            raise InvalidProgram(f"the program cannot be started: {error.message}") from error
        name = definition.process_name
        problem = _problem(artifact, name, args) if inputs is None else _open_problem(artifact, name, args, inputs)
        if problem is not None:
            raise InvalidProgram(problem)
        work = LashlangProcessInput(
            definition.module_ref, definition.process_ref, definition.host_requirements_ref, name, args
        )
        return work, signal_types(artifact, name)


def _chosen(artifact: ModuleArtifact, wanted: str | None) -> str:
    names = list(artifact.exports)
    if not names:
        raise InvalidProgram("the program declares no process; write `process main() { … }`")
    if wanted is None:
        wanted = names[0] if len(names) == 1 else "main"
    if wanted not in artifact.exports:
        raise InvalidProgram(f"the program has no process `{wanted}`; give process= one of {', '.join(names)}")
    return wanted


def _problem(artifact: ModuleArtifact, name: str, args: JsonObject) -> str | None:
    return argument_problem(artifact, name, {key: value_of(value) for key, value in args.items()})


def _open_problem(artifact: ModuleArtifact, name: str, args: JsonObject, inputs: Collection[str]) -> str | None:
    params = [param.name for param in declaration_of(artifact, name).params]
    for given in (*args, *inputs):
        if given not in params:
            return f"process `{name}` does not accept argument `{given}`"
    for param in params:
        if param not in args and param not in inputs:
            return f'process `{name}` is missing argument `{param}`; give it in args, or in inputs as "event"'
    return None


def _one_line(text: str) -> str:
    return " ".join(text.split())
