"""lashlang: the small language that models write and durable processes run.

A program is parsed, linked against a host environment, compiled to a Python
generator, and run by a driver that performs nothing itself:

```
program = parse(source)
module = link(program, environment)             # LinkError, or a content-addressed module
body = compile_body(module.artifact, None, IMPROVED)
execution = Execution(body, variables=state.variables)
step = execution.start()                        # a request, a Breath, or an outcome
step = execution.resume(Answered(value))
```

`run_body` is the same as an async loop over a host. The specification is
docs/spec/lashlang.md; `COMPAT` reproduces its reference, `IMPROVED` is the default.
"""

from __future__ import annotations

from lash.lashlang.codegen.bodies import CompiledBody, compile_body
from lash.lashlang.diagnostics import render
from lash.lashlang.dialect import COMPAT, IMPROVED, Dialect
from lash.lashlang.errors import (
    ArtifactCodecError,
    ArtifactError,
    ArtifactHashMismatch,
    BudgetExceeded,
    CatalogError,
    LanguageError,
    LinkError,
    ParseError,
    RuntimeFailure,
    SourceError,
)
from lash.lashlang.execution.budgets import Budgets, Spent
from lash.lashlang.execution.driver import Execution
from lash.lashlang.execution.effects import (
    Answer,
    Answered,
    AwaitHandle,
    BatchAnswered,
    CallSite,
    CancelHandle,
    Fail,
    Finish,
    NoAnswer,
    Print,
    ProcessEvent,
    ReadValue,
    Refused,
    Request,
    ResourceOperation,
    ResourceOperationBatch,
    SignalRun,
    Sleep,
    StartProcess,
    Submit,
    WaitSignal,
)
from lash.lashlang.execution.keys import child_run_id, operation_key, request_key
from lash.lashlang.execution.outcomes import Breath, Continued, Failed, Faulted, Finished, Outcome, Step
from lash.lashlang.execution.running import ExecutionHost, run_body
from lash.lashlang.execution.state import State
from lash.lashlang.host.catalog import Catalog, NamedDataType, OperationType
from lash.lashlang.host.environment import ALL_ABILITIES, Abilities, HostEnvironment, HostRequirements
from lash.lashlang.host.tool_bindings import ToolBinding, add_tool, bind_tool
from lash.lashlang.linking.linker import LinkedModule, link
from lash.lashlang.modules.artifact import ModuleArtifact, ProcessRef
from lash.lashlang.modules.caches import Compiler
from lash.lashlang.modules.compilation import CompiledModule, Diagnosis, compile_module
from lash.lashlang.syntax.ast import Program
from lash.lashlang.syntax.canonical import canonical_process, canonical_source
from lash.lashlang.syntax.features import ALL_FEATURES, NO_FEATURES, LanguageFeatures
from lash.lashlang.syntax.parser import parse
from lash.lashlang.tracking.static_map import StaticMap, static_map
from lash.lashlang.values.json_form import from_json, to_json
from lash.lashlang.values.kinds import Image, LazyValue, Resource, Value
from lash.lashlang.values.meter import Limits

__all__ = [
    "ALL_ABILITIES",
    "ALL_FEATURES",
    "COMPAT",
    "IMPROVED",
    "NO_FEATURES",
    "Abilities",
    "Answer",
    "Answered",
    "ArtifactCodecError",
    "ArtifactError",
    "ArtifactHashMismatch",
    "AwaitHandle",
    "BatchAnswered",
    "Breath",
    "BudgetExceeded",
    "Budgets",
    "CallSite",
    "CancelHandle",
    "Catalog",
    "CatalogError",
    "CompiledBody",
    "CompiledModule",
    "Compiler",
    "Continued",
    "Diagnosis",
    "Dialect",
    "Execution",
    "ExecutionHost",
    "Fail",
    "Failed",
    "Faulted",
    "Finish",
    "Finished",
    "HostEnvironment",
    "HostRequirements",
    "Image",
    "LanguageError",
    "LanguageFeatures",
    "LazyValue",
    "Limits",
    "LinkError",
    "LinkedModule",
    "ModuleArtifact",
    "NamedDataType",
    "NoAnswer",
    "OperationType",
    "Outcome",
    "ParseError",
    "Print",
    "ProcessEvent",
    "ProcessRef",
    "Program",
    "ReadValue",
    "Refused",
    "Request",
    "Resource",
    "ResourceOperation",
    "ResourceOperationBatch",
    "RuntimeFailure",
    "SignalRun",
    "Sleep",
    "SourceError",
    "Spent",
    "StartProcess",
    "State",
    "StaticMap",
    "Step",
    "Submit",
    "ToolBinding",
    "Value",
    "WaitSignal",
    "add_tool",
    "bind_tool",
    "canonical_process",
    "canonical_source",
    "child_run_id",
    "compile_body",
    "compile_module",
    "from_json",
    "link",
    "operation_key",
    "parse",
    "render",
    "request_key",
    "run_body",
    "static_map",
    "to_json",
]
