"""Process controls: the model lists background processes and cancels them (docs/spec/runtime.md §7.5).

`processes.list` and `processes.cancel` of programs. A session sees what was started for it, and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

from lash.base.codec import struct_to_json
from lash.base.json import Json, JsonObject
from lash.plugins.background import BackgroundServices
from lash.plugins.hooks import PluginSessionContext
from lash.plugins.plugin import CoreServices
from lash.plugins.registrar import PluginRegistrar
from lash.processes.errors import HandleNotVisible, ProcessAlreadyTerminal, ProcessError
from lash.processes.events import cancel_requested
from lash.processes.handles import ProcessCancelSummary, ProcessHandleSummary, process_id_of
from lash.processes.listing import ProcessListFilter
from lash.processes.scopes import SessionScope
from lash.tools.calls import ToolExecution
from lash.tools.definition import ToolContract, ToolManifest
from lash.tools.provider import ToolProvider
from lash.tools.result import ToolCallOutput

PLUGIN_ID: Final = "process_controls"
LIST: Final = "list_process_handles"
CANCEL: Final = "cancel_process"


class ProcessControls:
    """The plugin. `include_cancel=False` leaves looking alone. Added in 0.1."""

    id = PLUGIN_ID

    def __init__(self, *, include_cancel: bool = True) -> None:
        self._tools = _ControlTools(include_cancel=include_cancel)

    async def core_opened(self, services: CoreServices) -> None:
        """The tools work from now on."""
        self._tools.background = services.background

    async def core_closed(self) -> None:
        """They are refused."""
        self._tools.background = None

    def build(self, context: PluginSessionContext) -> ProcessControls:
        """Stateless: one object serves every session."""
        del context
        return self

    def register(self, registrar: PluginRegistrar) -> None:
        """The tools."""
        registrar.tools.provider(self._tools)


class _ControlTools(ToolProvider):
    def __init__(self, *, include_cancel: bool) -> None:
        self.background: BackgroundServices | None = None
        self._manifests = [_LIST_MANIFEST, _CANCEL_MANIFEST] if include_cancel else [_LIST_MANIFEST]

    def tool_manifests(self) -> Sequence[ToolManifest]:
        return self._manifests

    def resolve_contract(self, name: str) -> ToolContract | None:
        return {LIST: _LIST_CONTRACT, CANCEL: _CANCEL_CONTRACT}.get(name)

    async def execute(self, call: ToolExecution) -> object:
        if self.background is None:
            return ToolCallOutput.failure("unavailable", "processes_unavailable", "processes are unavailable here")
        scope = SessionScope(call.context.session_id)
        try:
            if call.name == LIST:
                return await _listed(self.background, scope, call.args)
            return await _cancelled(self.background, scope, call.args)
        except ProcessError as error:
            return ToolCallOutput.failure("invalid_request", error.code, str(error))


async def _listed(background: BackgroundServices, scope: SessionScope, args: JsonObject) -> Json:
    wanted = ProcessListFilter.decode(args)
    is_live = wanted.list_mode() == "live"
    registry = background.processes
    found = await (registry.list_live_handle_grants(scope) if is_live else registry.list_handle_grants(scope))
    return [struct_to_json(ProcessHandleSummary.of(grant, record)) for grant, record in found if wanted.matches(record)]


async def _cancelled(background: BackgroundServices, scope: SessionScope, args: JsonObject) -> Json:
    handle, reason = args["handle"], args.get("reason")
    process_id = handle if isinstance(handle, str) else process_id_of(handle)
    registry = background.processes
    if not await registry.has_handle_grant(scope, process_id):
        raise HandleNotVisible(process_id)
    with contextlib.suppress(ProcessAlreadyTerminal):  # the summary says how it ended
        said = reason if isinstance(reason, str) else None
        await registry.append_event(process_id, cancel_requested(process_id, said))
    background.poke()
    record = await registry.get_process(process_id)
    if record is None:
        raise HandleNotVisible(process_id)
    return struct_to_json(ProcessCancelSummary.of(record))


_LIST_MANIFEST: Final = ToolManifest(
    id=f"tool:{LIST}",
    name=LIST,
    description="Lists the background processes of this session: those that run, or those that a filter wants.",
    bindings={"lashlang": {"module": "processes", "operation": "list"}},
)
_LIST_CONTRACT: Final = ToolContract(
    {
        "type": "object",
        "properties": {
            "status": {
                "type": "string",
                "enum": ["running", "completed", "failed", "cancelled", "any"],
                "description": "How they stand; running unless given.",
            },
            "waiting": {"type": "boolean", "description": "Those that wait for a signal, or those that do not."},
            "definition": {"type": "object", "description": "The process of a program that they run, as a value."},
        },
        "additionalProperties": False,
    },
    {"type": "array", "items": {"type": "object"}},
)
_CANCEL_MANIFEST: Final = ToolManifest(
    id=f"tool:{CANCEL}",
    name=CANCEL,
    description="Asks a background process of this session to stop, and says how it stands.",
    bindings={"lashlang": {"module": "processes", "operation": "cancel"}},
    repeat="idempotent",
)
_CANCEL_CONTRACT: Final = ToolContract(
    {
        "type": "object",
        "properties": {
            "handle": {"type": ["string", "object"], "description": "Its id, or its handle."},
            "reason": {"type": "string", "description": "Why; whoever runs it may read that."},
        },
        "required": ["handle"],
        "additionalProperties": False,
    },
    {"type": "object", "properties": {"process_id": {"type": "string"}, "status": {"type": "string"}}},
)
