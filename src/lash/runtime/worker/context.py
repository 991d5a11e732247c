"""What the tools of a run are called with: their catalog, and the controller that records them."""

from __future__ import annotations

from lash.base.cancel import CancelToken
from lash.base.clock import Clock
from lash.base.errors import LashError
from lash.effects.invocation import RuntimeScope
from lash.effects.ports import EffectController
from lash.plugins.host import PluginSession
from lash.plugins.trail import HookTrail
from lash.runtime.activity import ActivityStream
from lash.runtime.direct import DirectModel
from lash.runtime.tool_batch import ToolBatch
from lash.tools.catalog import ToolCatalog

# A run belongs to no frame of a session.
NO_FRAME = ""


class RunContextIncomplete(LashError):
    """A run cannot call tools: a part that it needs was not given."""

    code = "process_run_context_failed"


class RunContextBuilder:
    """Puts the calls of one run together. What tools tell meanwhile is heard by nobody and holds nobody up."""

    def __init__(self, process_id: str, session_id: str, cancel: CancelToken, clock: Clock) -> None:
        self._process_id = process_id
        self._session_id = session_id
        self._cancel = cancel
        self._clock = clock
        self._catalog: ToolCatalog | None = None
        self._controller: EffectController | None = None

    def tools(self, catalog: ToolCatalog) -> RunContextBuilder:
        """What may be called."""
        self._catalog = catalog
        return self

    def records(self, controller: EffectController) -> RunContextBuilder:
        """Where it is recorded."""
        self._controller = controller
        return self

    def build(self, plugins: PluginSession, model: DirectModel, key: str) -> ToolBatch:
        """The calls; `key` begins the keys of their effects. Raises `RunContextIncomplete`."""
        if self._catalog is None:
            raise RunContextIncomplete("process run context requires a tool surface")
        if self._controller is None:
            raise RunContextIncomplete("process run context requires a scoped effect controller")
        return ToolBatch(
            scope=RuntimeScope(self._session_id),
            parent_key=key,
            effect_id=key,
            frame_id=NO_FRAME,
            catalog=self._catalog,
            plugins=plugins,
            controller=self._controller,
            stream=ActivityStream(self._process_id, []),
            cancel=self._cancel,
            clock=self._clock,
            model=model,
            trail=HookTrail(plugins.states) if plugins.states else None,
            is_shown=False,
        )
