"""`@lash.tool`: a function becomes a tool and stays a function.

The decorated object is called like the function it wraps, with the same types; the
runtime reads its `definition` and runs it through a `ToolSet`. Synchronous functions
run in threads of their own, with the caller's context variables (base/threads.py).
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Generic, ParamSpec, TypeAlias, TypeVar, cast, overload

from lash.base.arguments import check_one_of, checked_seconds
from lash.base.errors import InvalidArgument
from lash.base.json import Json
from lash.base.threads import CallThreads
from lash.tools.calls import ToolExecution
from lash.tools.context import ToolContext
from lash.tools.definition import (
    ONE_ATTEMPT,
    ApprovalPolicy,
    MaterializeArguments,
    PreserveProjectedRefs,
    Repeat,
    Retry,
    Scheduling,
    ToolContract,
    ToolDefinition,
    ToolManifest,
)
from lash.tools.errors import ToolDefinitionError
from lash.tools.signature import ToolSignature, read_signature
from lash.tools.typecodec import Mismatch
from lash.tools.validation import wrong_arguments

P = ParamSpec("P")
R = TypeVar("R")

# Says of the checked arguments (JSON) whether a person must approve the call.
ApprovalPredicate: TypeAlias = Callable[[dict[str, Any], ToolContext], bool | Awaitable[bool]]

# Tells the outside that nobody waits for a detached call any more: `(args, ctx)`.
Canceller: TypeAlias = Callable[[dict[str, Any], ToolContext], object]

# Calls of one synchronous tool that run at a time: above what blocking clients keep open
# connections for, far below what a container allows a process.
MAX_THREADS: Final = 32

# What every model wire accepts as a function name.
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")
_OPERATION = re.compile(r"^[a-z_][a-z0-9_]*$")
# The words of lashlang, which this module need not load, and the conversation of a program.
NO_MODULES = frozenset(
    "if else for in await cancel submit print call and or not true false null history".split()  # noqa: SIM905
)
_MODULE = re.compile(r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*$")


class Tool(Generic[P, R]):
    """A function with its definition. Made by `@lash.tool`. Added in 0.1."""

    # Copied from the function.
    __name__: str
    __wrapped__: Callable[P, R]

    def __init__(
        self,
        function: Callable[P, R],
        definition: ToolDefinition,
        signature: ToolSignature,
        approve: ApprovalPredicate | None = None,
        cancel: Canceller | None = None,
    ) -> None:
        self.definition = definition
        self._cancel = cancel
        self._approve = approve
        self._function = function
        self._signature = signature
        self._is_async = _is_async(function)
        self._threads = CallThreads(MAX_THREADS)
        functools.update_wrapper(cast("Any", self), function)

    @property
    def name(self) -> str:
        """The name the model calls it by."""
        return self.definition.name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function itself, as if it were not decorated."""
        return self._function(*args, **kwargs)

    async def needs_approval(self, call: ToolExecution) -> bool:
        """What `approve=` says of this call."""
        if self._approve is None:
            return self.definition.manifest.approve != "never"
        answer = self._approve(call.args, call.context)
        return bool(await answer if inspect.isawaitable(answer) else answer)

    async def cancel_call(self, call: ToolExecution) -> None:
        """Calls `cancel=`, where there is one."""
        if self._cancel is not None:
            done = self._cancel(call.args, call.context)
            if inspect.isawaitable(done):
                await done

    async def execute(self, call: ToolExecution) -> object:
        """Runs it with the model's arguments, decoded into the types of its hints."""
        try:
            positional, named = self._signature.bind(call.args, call.context)
        except Mismatch as error:
            return wrong_arguments(call.name, self.definition.contract, error.problems)
        function = cast("Callable[..., Any]", self._function)
        if self._is_async:
            return await function(*positional, **named)
        blocking = functools.partial(_in_thread, function, positional, named)
        return await self._threads.run(blocking, name=f"lash tool {call.name}")

    def __repr__(self) -> str:
        return f"<tool {self.definition.signature}>"


def _in_thread(function: Callable[..., object], positional: list[object], named: dict[str, object]) -> object:
    try:
        return function(*positional, **named)
    except StopIteration as error:
        # A future refuses StopIteration, and whoever awaits it would wait for ever.
        raise RuntimeError(f"the tool raised StopIteration({error.value!r})") from error
    except SystemExit as error:
        # In a thread this is never the interpreter's own exit, only the tool's.
        raise RuntimeError(f"the tool called sys.exit({error.code!r})") from error


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    module: str | None = None,
    operation: str | None = None,
    repeat: Repeat = "safe",
    retry: Retry | None = None,
    timeout: float | None = None,
    scheduling: Scheduling = "parallel",
    approve: bool | ApprovalPredicate = False,
    approval_timeout: float | None = None,
    cancel: Canceller | None = None,
    preserve_projected_refs_in_field: str | None = None,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    module: str | None = None,
    operation: str | None = None,
    repeat: Repeat = "safe",
    retry: Retry | None = None,
    timeout: float | None = None,
    scheduling: Scheduling = "parallel",
    approve: bool | ApprovalPredicate = False,
    approval_timeout: float | None = None,
    cancel: Canceller | None = None,
    preserve_projected_refs_in_field: str | None = None,
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """Makes a tool of an async or sync function. Added in 0.1.

    `module` is where lashlang programs find it, e.g. `"orders"`, and `operation` what it is called
    there (its name unless given). `repeat` says what
    recovery may do when the outcome of a call is unknown. `retry` says how often a
    failure that declares itself retryable is tried again; an idempotent tool is
    tried three times unless told otherwise, the others once. `timeout` is in seconds
    for each attempt; a synchronous function that overruns it goes on in its thread and
    only its result is dropped (`ctx.cancelled` tells it). `approve` asks a person before
    the first attempt, always or when `approve(args, ctx)` says so; the turn waits, durably,
    until the approval is given, denied, or `approval_timeout` (seconds) has passed. `cancel(args, ctx)`
    is called when a call that returned `pending(on_cancel="cancel_external_work")` is cancelled.
    `preserve_projected_refs_in_field` names a parameter in which programs of RLM mode hand over what they never
    read as references, which `ctx.resolve_projected` resolves; its type must admit records.
    Raises `ToolDefinitionError`.
    """
    # Classes that are local to a function are found through the frame that decorates.
    namespace: Mapping[str, object] = sys._getframe(1).f_locals

    def decorate(target: Callable[P, R]) -> Tool[P, R]:
        signature = _read(target, namespace)
        shown = name or signature.function
        _check_names(signature.function, shown, module, operation)
        try:
            check_one_of("repeat", repeat, Repeat)
            check_one_of("scheduling", scheduling, Scheduling)
            checked_seconds("timeout", timeout)
            checked_seconds("approval_timeout", approval_timeout)
        except InvalidArgument as error:
            raise ToolDefinitionError(signature.function, *error.message.split(": ", 1)) from None
        if not isinstance(approve, bool) and not callable(approve):
            raise ToolDefinitionError(
                signature.function, f"approve={approve!r}", "give True, or a function of the arguments and the context"
            )
        if not isinstance(retry, Retry | None):
            raise ToolDefinitionError(signature.function, f"retry={retry!r}", "give a lash.Retry(attempts=…)")
        if cancel is not None and not callable(cancel):
            raise ToolDefinitionError(signature.function, f"cancel={cancel!r}", "give a function")
        if approval_timeout is not None and approve is False:
            raise ToolDefinitionError(
                signature.function, f"approval_timeout={approval_timeout}", "give it together with approve="
            )
        refs_in = preserve_projected_refs_in_field
        if refs_in is not None and all(parameter.name != refs_in for parameter in signature.parameters):
            raise ToolDefinitionError(
                signature.function,
                f"preserve_projected_refs_in_field={refs_in!r} names no parameter",
                "name one that the function has",
            )
        manifest = ToolManifest(
            id=f"tool:{shown}",
            name=shown,
            description=signature.description if description is None else description,
            bindings=_bindings(operation or shown, module),
            argument_projection=MaterializeArguments() if refs_in is None else PreserveProjectedRefs(refs_in),
            scheduling=scheduling,
            repeat=repeat,
            retry=retry or (Retry() if repeat == "idempotent" else ONE_ATTEMPT),
            timeout_ms=_milliseconds(timeout),
            approve=_approval_policy(approve),
            approval_timeout_ms=_milliseconds(approval_timeout),
        )
        contract = ToolContract(signature.input_schema(), signature.output_schema())
        predicate = None if isinstance(approve, bool) else approve
        return Tool(target, ToolDefinition(manifest, contract), signature, predicate, cancel)

    return decorate if function is None else decorate(function)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else max(1, round(seconds * 1000))


def _approval_policy(approve: bool | ApprovalPredicate) -> ApprovalPolicy:
    if isinstance(approve, bool):
        return "always" if approve else "never"
    return "predicate"


def _read(function: Callable[P, R], namespace: Mapping[str, object]) -> ToolSignature:
    if isinstance(function, Tool):
        raise ToolDefinitionError(function.name, "it is a tool already", "decorate a function once")
    if not callable(function):
        raise ToolDefinitionError(repr(function), "it is not a function", "write @lash.tool or @lash.tool(name=…)")
    if isinstance(function, type):
        raise ToolDefinitionError(function.__name__, "it is a class", "decorate a function that makes one")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ToolDefinitionError(
            getattr(function, "__name__", repr(function)), "it is a generator", "return a list instead of yielding"
        )
    return read_signature(function, namespace)


def _check_names(function: str, name: str, module: str | None, operation: str | None) -> None:
    if not _NAME.match(name):
        raise ToolDefinitionError(
            function,
            f"the name {name!r} is not one that models can call",
            "use up to 64 letters, digits, _ and -, and give name= for a lambda or a partial",
        )
    if module is not None and not _MODULE.match(module):
        raise ToolDefinitionError(function, f"module={module!r}", "use dotted lower-case names, such as 'orders'")
    if module is not None and module.partition(".")[0] in NO_MODULES:
        raise ToolDefinitionError(function, f"module={module!r}", "programs read this word otherwise; choose another")
    if operation is not None and (module is None or not _OPERATION.match(operation)):
        raise ToolDefinitionError(
            function, f"operation={operation!r}", "give a lower-case name such as 'find', together with module="
        )


def _bindings(operation: str, module: str | None) -> dict[str, Json]:
    return {} if module is None else {"lashlang": {"module": module, "operation": operation}}


def _is_async(function: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  # an object whose call is async
    )
