"""The plugin that makes a session run in RLM mode."""

from __future__ import annotations

from collections.abc import Mapping

from lash.base.json import Json, JsonObject
from lash.lashlang.errors import LanguageError
from lash.lashlang.host.environment import HostEnvironment
from lash.lashlang.modules.caches import Compiler
from lash.machine.prompt import PromptContribution
from lash.plugins.errors import PluginRegistrationError
from lash.plugins.execution import TextScreen
from lash.plugins.hooks import PluginSessionContext, PromptContext
from lash.plugins.plugin import CoreServices
from lash.plugins.registrar import PluginRegistrar
from lash.plugins.registrations import ProtocolBinding
from lash.protocols.rlm.background import CoreBackground
from lash.protocols.rlm.budget import ContextBudget
from lash.protocols.rlm.cells import CellGrammar, FencedCells
from lash.protocols.rlm.continue_as import ContinueAs
from lash.protocols.rlm.driver import RlmDriver
from lash.protocols.rlm.executor import HISTORY, RlmExecutor
from lash.protocols.rlm.options import PLUGIN_ID, Ending, InvalidTurnOptions, RlmConfig, SubmitRequired
from lash.protocols.rlm.projection import RlmProjection
from lash.protocols.rlm.projections import ProjectionRef, ProjectionResolver
from lash.protocols.rlm.prompt import execution_prompt, tools_prompt
from lash.protocols.rlm.seeds import is_variable_name, seed_record
from lash.protocols.rlm.submitting import SubmitShape
from lash.protocols.rlm.surface import LASHLANG_SURFACE_EXTENSION_ID, Offers, Surface, base_environment
from lash.tools.catalog import ToolCatalog


class RlmProtocol:
    """RLM mode for the sessions of one core.

    `projected` binds read-only names for every program; `plugin_options={"rlm_protocol": …}` of a core
    or a session says how turns end where they do not say it themselves.
    """

    id = PLUGIN_ID

    def __init__(
        self,
        config: RlmConfig | None = None,
        *,
        projected: Mapping[str, Json | ProjectionRef] | None = None,
        resolver: ProjectionResolver | None = None,
        grammar: CellGrammar | None = None,
    ) -> None:
        self.config = config or RlmConfig()
        self._projected = dict(projected or {})
        if HISTORY in self._projected:
            raise PluginRegistrationError(
                f"projected names {HISTORY!r}, which is the conversation; choose another name"
            )
        for name in self._projected:
            if not is_variable_name(name):
                raise PluginRegistrationError(
                    f"projected names {name!r}, which programs cannot read; use letters, digits and _"
                )
        self._grammar: CellGrammar = grammar or FencedCells()
        self._compiler = Compiler()
        self._resolver = resolver
        self._background: CoreBackground | None = None
        # Made when the first session is built: plugins of the core may add to what programs meet.
        self._offers: Offers | None = None
        # One provider for all sessions: catalogs are shared by those whose sources are the same.
        self._continue_as = ContinueAs(frozenset({HISTORY, *self._projected}))

    def build(self, context: PluginSessionContext) -> RlmSession:
        """The mode of one session, with variables of its own."""
        given = context.plugin_options.get(self.id)
        try:
            ending = self.config.ending.over(given if isinstance(given, dict) else {})
        except InvalidTurnOptions as error:
            raise PluginRegistrationError(f"plugin {self.id!r}: {error}") from error
        if self._offers is None:
            try:
                base = base_environment(self.config, context.extensions.get(LASHLANG_SURFACE_EXTENSION_ID, ()))
            except LanguageError as error:
                raise PluginRegistrationError(f"plugin {self.id!r}: {error}") from error
            self._offers = Offers(base, self._told)
        executor = RlmExecutor(
            self.config,
            self._compiler,
            self._offers,
            self._projected,
            self._resolver,
            context.session_id,
            lambda: self._background,
        )
        return RlmSession(context.session_id, self.config, ending, self._grammar, executor, self._continue_as)

    async def core_opened(self, services: CoreServices) -> None:
        """Cells may start processes and register triggers from now on."""
        if services.background is not None:
            self._background = CoreBackground(services.background, services.execution_sink)

    async def core_closed(self) -> None:
        """Nothing runs any more."""
        self._background = None

    def environment_of(self, catalog: ToolCatalog) -> HostEnvironment:
        """What programs are linked against with these tools, once a session was built."""
        assert self._offers is not None, "no session was built"
        return self._offers.of(catalog).surface.environment

    def _told(self, catalog: ToolCatalog, surface: Surface, concealed: frozenset[str]) -> list[PromptContribution]:
        tools = tools_prompt(catalog, surface.environment, concealed)
        told = [
            PromptContribution("execution", execution_prompt(surface.environment, self.config.prompt_features)),
            PromptContribution("execution", tools, title="Host Surface"),
        ]
        return [one for one in told if one.content]


class RlmSession:
    """RLM mode in one session."""

    id = PLUGIN_ID

    def __init__(
        self,
        session_id: str,
        config: RlmConfig,
        ending: Ending,
        grammar: CellGrammar,
        executor: RlmExecutor,
        continue_as: ContinueAs,
    ) -> None:
        self._session_id = session_id
        self._config = config
        self._ending = ending
        self._grammar = grammar
        self._executor = executor
        self._continue_as = continue_as

    def register(self, registrar: PluginRegistrar) -> None:
        """Registers the driver, its projection and its executor, the prompt, and `continue_as`."""
        budget = None
        if self._config.continue_as_soft_warn_tokens:
            budget = ContextBudget(self._config.continue_as_soft_warn_tokens)
            registrar.turn.checkpoint(budget.at_checkpoint)
        projection = RlmProjection(self._grammar, self._config.max_output_chars, self._executor.bound)
        registrar.protocol.driver(
            ProtocolBinding(
                RlmDriver(self._config, self._ending, self._grammar, budget),
                projection.project,
                projection.project_turn,
                executor=self._executor,
                screen=self._screen,
                shown_text=self._shown_text,
                offers_tools=False,
                seed=self._seed,
                projected=self._executor.refs,
                answering=lambda schema: SubmitShape(SubmitRequired(schema)).turn_options(),
            )
        )
        registrar.tools.provider(self._continue_as)
        registrar.prompt.contribute(self._contribute)

    def _seed(self, values: JsonObject) -> JsonObject:
        return seed_record(values, self._executor.reserved)

    def _screen(self) -> TextScreen:
        return self._grammar.screen(PLUGIN_ID)

    def _shown_text(self, text: str) -> str:
        """A whole text is told without its program: before the cell it is reasoning, like streamed text."""
        return "" if self._grammar.find(text).code is not None else text

    def _contribute(self, context: PromptContext) -> list[PromptContribution]:
        return self._executor.told(context.concealed)
