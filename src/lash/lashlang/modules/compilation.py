"""Source to stored module in one call, with diagnostics for tools (§7.7)."""

from __future__ import annotations

from dataclasses import dataclass

from lash.base.json import JsonObject
from lash.lashlang.diagnostics import locate, position, render
from lash.lashlang.dialect import IMPROVED, Dialect
from lash.lashlang.errors import ArtifactError, LanguageError, LinkError, ParseError, Span
from lash.lashlang.host.environment import HostEnvironment
from lash.lashlang.linking.linker import LinkedModule, link
from lash.lashlang.modules.store import ArtifactStore
from lash.lashlang.syntax.parser import parse


@dataclass(frozen=True, slots=True)
class CompiledModule:
    """What compiling gave: a linked module whose artifact is stored if it exports a process."""

    linked: LinkedModule

    @property
    def module_ref(self) -> str:
        """The content reference."""
        return self.linked.module_ref


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a source did not compile. `stage` is `parse`, `link` or `persist`."""

    stage: str
    message: str
    diagnostic: str
    offset: int | None = None
    span: Span | None = None
    line: int | None = None
    column: int | None = None

    def as_json(self) -> JsonObject:
        """The JSON form; unknown positions are left out."""
        parts: JsonObject = {"stage": self.stage, "message": self.message, "diagnostic": self.diagnostic}
        places = {"offset": self.offset, "line": self.line, "column": self.column}
        parts |= {name: value for name, value in places.items() if value is not None}
        return parts | ({"span": list(self.span)} if self.span is not None else {})


async def compile_module(
    source: str, environment: HostEnvironment, store: ArtifactStore | None = None, *, dialect: Dialect = IMPROVED
) -> CompiledModule | Diagnosis:
    """The module that `source` spells, stored in `store`, or the first thing wrong with it."""
    try:
        program = parse(source, dialect=dialect, features=environment.language_features)
        linked = link(program, environment, dialect=dialect, source=source)
    except ParseError as error:
        return diagnose("parse", error, source, dialect)
    except LinkError as error:
        return diagnose("link", error, source, dialect)
    if store is not None and linked.artifact.exports:
        try:
            await store.put_module_artifact(linked.artifact)
        except ArtifactError as error:
            return diagnose("persist", error, source, dialect)
    return CompiledModule(linked)


def diagnose(stage: str, error: LanguageError, source: str, dialect: Dialect = IMPROVED) -> Diagnosis:
    """`error` with its position spelled out."""
    at = position(error, dialect)
    line, column = locate(source, at)[:2] if at is not None else (None, None)
    offset = error.offset if isinstance(error, ParseError) else None
    span = error.span or error.at if isinstance(error, LinkError) else None
    return Diagnosis(stage, str(error), render(error, source, dialect=dialect), offset, span, line, column)
