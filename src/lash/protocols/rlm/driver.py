"""What a turn in RLM mode does next. Pure (docs/spec/runtime.md §5.4).

```
model ─┬─ cell ───────> run it ─┬─ submit, valid ──────────> done
       │                        ├─ a call ends the turn ───> done
       │                        └─ output, error, submit ──> next iteration
       ├─ prose, allowed ────────────────────────────────> done
       └─ prose, not allowed ──> reminder ────────────────> next iteration
```

A step is two messages: what the model said (prose and `code`), and what came of it
(`output`, `image`, `error`). So history is what the model itself wrote and was shown.
"""

from __future__ import annotations

from typing import Final

from lash.base.canonical import canonical_json
from lash.base.codec import DecodeError, from_json
from lash.base.json import Json, JsonObject
from lash.base.messages import Message, Part, PluginOrigin
from lash.base.schema import compile_schema
from lash.machine.driver import (
    Action,
    Advance,
    Append,
    DriverContext,
    Finish,
    ScheduleTurnLimit,
    StartCheckpoint,
    StartExec,
    StartLlm,
)
from lash.machine.llm import LlmResponse, ReasoningPart
from lash.machine.outcome import AssistantMessage, Stopped, SubmittedValue
from lash.machine.values import CompletedCall, ErrorReported, ProtocolRecord, RequestSpec, Said, TurnRecord
from lash.protocols.rlm.budget import ContextBudget
from lash.protocols.rlm.cells import LANGUAGE, CellGrammar
from lash.protocols.rlm.guidance import schema_reminder, status_text, submit_reminder, wrap_up_text
from lash.protocols.rlm.options import PLUGIN_ID, Ending, InvalidTurnOptions, RlmConfig
from lash.protocols.rlm.response import CellResponse
from lash.protocols.standard import terminal_outcome

ORIGIN: Final = PluginOrigin(PLUGIN_ID)
PASSING: Final = PluginOrigin(PLUGIN_ID, transient=True)


class RlmDriver:
    """Asks the model for a program, runs it, shows what it printed, until it submits."""

    plugin_id = PLUGIN_ID

    def __init__(
        self, config: RlmConfig, ending: Ending, grammar: CellGrammar, budget: ContextBudget | None = None
    ) -> None:
        """`budget` is told what each model call was shown."""
        self._config = config
        self._ending = ending
        self._grammar = grammar
        self._budget = budget

    def prepare_iteration(self, context: DriverContext) -> list[Action]:
        """Every iteration is a model call; where the turn stands is told with it and not kept."""
        try:
            ending = self._ending.over(context.turn_options)
        except InvalidTurnOptions as error:
            return [Finish(Stopped("runtime_error"), ErrorReported("rlm_turn_options", error.code, str(error)))]
        text = status_text(
            ending,
            iteration=context.protocol_iteration,
            max_turns=context.max_turns,
            last_prompt=context.last_prompt,
            soft_limit_tokens=self._config.continue_as_soft_warn_tokens,
        )
        status = Message("status", "user", [Part("p0", "text", text)], PASSING)
        request = context.request(use_tools=False)
        return [StartLlm(_with(request, status))]

    def handle_llm_success(
        self, context: DriverContext, response: LlmResponse, driver_state: JsonObject | None
    ) -> list[Action]:
        """A cell runs; prose ends the turn where it may, and is answered with a reminder where not."""
        del driver_state
        ending = self._ending.over(context.turn_options)
        text = response.full_text
        has_reasoned = any(isinstance(part, ReasoningPart) for part in response.parts)
        if not text.strip() and not has_reasoned:
            error = ErrorReported("llm_provider", "empty_response", "the model answered with nothing")
            return [Finish(Stopped("provider_error"), error)]
        found = self._grammar.find(text)
        parts: list[Part] = []
        for part in response.parts:
            if isinstance(part, ReasoningPart):
                parts.append(Part(f"p{len(parts)}", "reasoning", part.text, reasoning_meta=part.replay))
        if found.prose.strip():
            parts.append(Part(f"p{len(parts)}", "prose", found.prose.strip()))
        if found.code is not None:
            parts.append(Part(f"code:{context.protocol_iteration}", "code", found.code))
            said = Message(context.message_id(), "assistant", parts)
            return [Append([Said(said)]), StartExec(LANGUAGE, found.code)]
        if ending.may_be_prose:
            said = Message(context.message_id(), "assistant", parts)
            return [Append([Said(said)]), StartCheckpoint("before_completion", AssistantMessage(found.prose.strip()))]
        reminder = schema_reminder() if ending.schema is not None else submit_reminder()
        return [
            Append(
                [
                    Said(Message(context.message_id(), "assistant", parts, ORIGIN)),
                    Said(Message(context.message_id(1), "system", [Part("p0", "text", reminder)], ORIGIN)),
                ]
            ),
            *self._next_iteration(context, ending, 2),
        ]

    def handle_tool_results(self, context: DriverContext, results: list[CompletedCall]) -> list[Action]:
        """No native tools are offered."""
        raise AssertionError("RLM mode never starts a batch of native calls")

    def handle_exec_result(
        self, context: DriverContext, response: JsonObject | None, error: str | None, driver_state: JsonObject | None
    ) -> list[Action]:
        """What came of the cell is said, and decides how the turn goes on."""
        del driver_state
        if self._budget is not None:
            self._budget.saw(context.last_prompt)
        ending = self._ending.over(context.turn_options)
        try:
            done = from_json(response or {"error": error}, CellResponse)
        except DecodeError as problem:
            return [
                Finish(
                    Stopped("runtime_error"), ErrorReported("rlm_driver_state", "invalid_driver_state", str(problem))
                )
            ]
        problems: list[str] = []
        if done.submitted is not None and ending.schema is not None:
            problems = compile_schema(ending.schema).problems(done.submitted.value)
        step = Append([*_observed(done), Said(_came_of(context, done, problems))])
        if done.ended_by is not None:
            outcome = terminal_outcome(done.ended_by)
            assert outcome is not None
            return [step, StartCheckpoint("before_completion", outcome)]
        if done.submitted is not None and not problems:
            return [step, StartCheckpoint("before_completion", SubmittedValue(done.submitted.value))]
        return [step, *self._next_iteration(context, ending, 1)]

    def turn_limit_message(self, context: DriverContext) -> Message:
        """The notice before the grace iteration."""
        return Message(context.message_id(), "system", [Part("p0", "text", wrap_up_text())], ORIGIN)

    def _next_iteration(self, context: DriverContext, ending: Ending, said: int) -> list[Action]:
        if context.is_grace_iteration:
            return [Finish(Stopped("max_turns"))]
        if not context.is_turn_limit_next:
            return [Advance(), StartCheckpoint("after_work", "prepare_iteration")]
        if not ending.may_be_prose:
            return [Finish(Stopped("max_turns"))]
        notice = Message(context.message_id(said), "system", [Part("p0", "text", wrap_up_text())], ORIGIN)
        return [ScheduleTurnLimit(notice), Advance(), StartCheckpoint("after_work", "prepare_iteration")]


def _observed(done: CellResponse) -> list[TurnRecord]:
    return [ProtocolRecord(PLUGIN_ID, {"type": "rlm_cell", "seen": done.seen})] if done.seen else []


def _with(request: RequestSpec, status: Message) -> RequestSpec:
    """The request with one message more, which enters no history."""
    return RequestSpec(
        request.iteration,
        [*request.messages, status],
        request.environment_ref,
        request.use_tools,
        request.output_spec,
        request.generation,
    )


def _came_of(context: DriverContext, done: CellResponse, problems: list[str]) -> Message:
    """What a cell printed, showed and submitted, and what went wrong; the address of a part is its id."""
    parts: list[Part] = []
    for index, text in enumerate(done.output):
        parts.append(Part(f"{done.address}.output[{index}]", "output", text))
    parts += [
        Part(f"{done.address}.images[{index}]", "image", attachment=image) for index, image in enumerate(done.images)
    ]
    if done.error is not None:
        parts.append(Part(f"{done.address}.error", "error", done.error))
    if done.submitted is not None:
        parts.append(Part(f"{done.address}.final_output", "output", _text(done.submitted.value)))
        if problems:
            found = "\n".join(f"- {problem}" for problem in problems)
            text = f"the submitted value does not match the required schema:\n{found}\nsubmit a value that does"
            parts.append(Part(f"{done.address}.error", "error", text))
    return Message(context.message_id(), "user", parts, ORIGIN)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else canonical_json(value)
