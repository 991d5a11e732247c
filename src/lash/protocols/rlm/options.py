"""What a host and a turn may decide about RLM mode (docs/spec/runtime.md §5.1, §5.2)."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from lash.base.codec import DecodeError, from_json
from lash.base.errors import ConfigurationError
from lash.base.json import JsonObject
from lash.base.schema import compile_schema
from lash.lashlang.execution.budgets import DEFAULT_BUDGETS, Budgets
from lash.lashlang.host.environment import Abilities
from lash.lashlang.syntax.features import LanguageFeatures

PLUGIN_ID: Final = "rlm_protocol"


class SubmitRequired(msgspec.Struct, frozen=True, tag="submit_required", tag_field="kind", forbid_unknown_fields=True):
    """Only `submit` ends the turn, with a value that matches `schema` when there is one."""

    schema: JsonObject | None = None


class ProseOrSubmit(msgspec.Struct, frozen=True, tag="prose_or_submit", tag_field="kind", forbid_unknown_fields=True):
    """An answer without a cell ends the turn too."""


class CustomAnswer(msgspec.Struct, frozen=True, tag="custom", tag_field="kind", forbid_unknown_fields=True):
    """The submitted text follows the host's own words."""

    guidance: str


Termination: TypeAlias = SubmitRequired | ProseOrSubmit
AnswerFormat: TypeAlias = Literal["markdown", "raw_submit_value"] | CustomAnswer


class RlmTurnOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a turn may decide; what it leaves open the session decides, then the core."""

    termination: Termination | None = None
    final_answer_format: AnswerFormat | None = None


class InvalidTurnOptions(ConfigurationError):
    """The options of a turn cannot be read."""

    code = "invalid_turn_options"


class Ending(msgspec.Struct, frozen=True):
    """The same with nothing left open."""

    termination: Termination = SubmitRequired()
    final_answer_format: AnswerFormat = "markdown"

    @property
    def schema(self) -> JsonObject | None:
        """What a submitted value must match."""
        return self.termination.schema if isinstance(self.termination, SubmitRequired) else None

    @property
    def may_be_prose(self) -> bool:
        """Whether an answer without a cell ends the turn."""
        return isinstance(self.termination, ProseOrSubmit)

    def over(self, given: JsonObject) -> Ending:
        """This, except where `given` says otherwise. Raises `InvalidTurnOptions`."""
        if not given:
            return self
        try:
            options = from_json(given, RlmTurnOptions)
            ending = Ending(
                options.termination or self.termination, options.final_answer_format or self.final_answer_format
            )
            if ending.schema is not None:
                compile_schema(ending.schema)
        except (DecodeError, ConfigurationError) as error:
            raise InvalidTurnOptions(f"the options of the turn cannot be read: {error}") from error
        except ValueError as error:
            raise InvalidTurnOptions(f"the schema of the turn does not compile: {error}") from error
        return ending


class ObserveLimits(msgspec.Struct, frozen=True):
    """How much of one printed value is shown."""

    max_bytes: int = 16_384
    max_lines: int = 400


class PromptFeatures(msgspec.Struct, frozen=True):
    """Which optional sections the prompt has."""

    images: bool = True
    common_patterns: bool = True
    type_literals: bool = True
    decomposition: bool = True


class RlmConfig(msgspec.Struct, frozen=True):
    """What a host decides for all sessions of a core. Added in 0.1.

    `max_output_chars` is how much of one output later model calls are shown;
    `continue_as_soft_warn_tokens` is where the model is advised to go on in a new frame
    (None never does); values up to `bound_variables_inline_chars` are shown whole. Triggers are on where
    `abilities` say so, and where a plugin offers a source of them.
    """

    observe: ObserveLimits = ObserveLimits()
    prompt_features: PromptFeatures = PromptFeatures()
    abilities: Abilities = Abilities(processes=True, sleep=True, process_signals=True)
    language_features: LanguageFeatures = LanguageFeatures(label_annotations=True)
    budgets: Budgets = DEFAULT_BUDGETS
    max_output_chars: int = 10_000
    continue_as_soft_warn_tokens: int | None = 100_000
    bound_variables_inline_chars: int = 1_024
    ending: Ending = Ending()
