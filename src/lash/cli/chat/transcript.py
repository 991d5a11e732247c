"""What a turn looks like: its activities, told to a face."""

from __future__ import annotations

from typing import Final

from lash.base.canonical import canonical_json
from lash.base.json import JsonObject
from lash.cli.chat.face import Face
from lash.cli.chat.told import Told
from lash.cli.output import shortened
from lash.machine.outcome import Stopped, TurnOutcome, outcome_name
from lash.runtime import activity
from lash.runtime.activity import TurnEvent
from lash.tools.result import Succeeded, ToolCallOutput

NOTE_CHARS: Final = 160


class Transcript:
    """Tells a face about one turn after another."""

    def __init__(self, face: Face, *, is_thought_shown: bool = False) -> None:
        """`is_thought_shown`: in RLM mode, where what stands before a program is told as reasoning."""
        self._face = face
        self._is_thought_shown = is_thought_shown
        # What the running model call has thought.
        self._thought = ""
        # The program that ran last, whole.
        self.program: str | None = None
        # Of the text that may still be taken back.
        self._has_said = False
        # Whether the turn said anything that stands.
        self.has_text = False

    def begin(self) -> None:
        """A turn starts, or is driven anew."""
        self.void()
        self.has_text = False

    def void(self) -> None:
        """What was told of the running model call does not count."""
        if self._has_said:
            self._face.retract()
            self._has_said, self._thought = False, ""

    def hear(self, event: TurnEvent) -> None:
        """Shows one activity. Approvals are the conversation's own business."""
        match event:
            case activity.AssistantProseDelta(text=text):
                self._say(text)
            case activity.ReasoningDelta(text=text) if self._is_thought_shown:
                self._thought += text
                self._face.think(self._thought)
                self._has_said = True
            case activity.CodeBlockStarted(code=code):
                self._whole()
                self.program = code
                self._face.program(code)
            case activity.CodeBlockCompleted(output=output, error=error):
                self._whole()
                for text in output:
                    self._face.printed(text)
                if error is not None:
                    self._face.problem(error)
            case activity.ModelAttemptReset():
                self.void()
            case activity.ModelRequestStarted():
                self._whole()
            case activity.RetryStatus(wait_seconds=wait, reason=reason):
                self._face.note(f"the model is asked again in {wait:.0f} s: {shortened(reason, NOTE_CHARS)}", "warning")
            case activity.ToolCallStarted(name=name, args=args):
                self._whole()
                self._face.note(f"→ {call_text(name, args)}")
            case activity.ToolCallProgress(name=name, text=text):
                self._face.note(f"  {name}: {shortened(text, NOTE_CHARS)}")
            case activity.ToolCallPending(name=name):
                self._face.note(f"  {name} waits to be completed from outside")
            case activity.ToolCallCompleted(name=name, output=output, replayed=replayed):
                self._face.note(f"← {name}{' (from the record)' if replayed else ''}: {output_text(output)}")
            case activity.QueuedInputAccepted(messages=messages):
                self._whole()
                is_event = any(message.role == "event" for message in messages)
                self._face.note(f"{'an event' if is_event else 'your message'} joined the running turn")
            case activity.SubmittedValueActivity(value=value) | activity.ToolValueActivity(value=value):
                self._whole()
                self._face.value(value)
                self.has_text = True
            case activity.Error(message=message):
                self._whole()
                self._face.note(shortened(message, 4 * NOTE_CHARS), "bad")
            case _:
                pass

    def end(self, outcome: TurnOutcome | None) -> None:
        """The turn is over; `outcome` is None when it was left to go on later or elsewhere."""
        self._whole()
        match outcome:
            case Stopped(reason="cancelled"):
                self._face.note("cancelled", "warning")
            case Stopped():
                self._face.note(f"the turn ended as {outcome_name(outcome)}", "bad")
            case _:
                pass

    def tell(self, told: Told) -> None:
        """Shows something that is committed."""
        match told.kind:
            case "program":
                self._face.program(told.text)
            case "printed":
                self._face.printed(told.text)
            case "problem":
                self._face.problem(told.text)
            case "thought":
                self._face.think(told.text)
                self._face.finish()
            case "agent":
                self._face.piece(told.text)
                self._face.finish()
            case "event":
                self._face.note(shortened(told.text, NOTE_CHARS))
            case "you":
                pass  # whoever shows it knows how

    def _say(self, text: str) -> None:
        # In RLM mode an answer without a program was thought first, and is now said.
        said = text.strip()
        if said and self._thought.rstrip().endswith(said):
            self._thought = self._thought.rstrip().removesuffix(said)
            self._face.think(self._thought)
        self._face.piece(text)
        self._has_said = self.has_text = True

    def _whole(self) -> None:
        if self._has_said:
            self._face.finish()
            self._has_said, self._thought = False, ""


def call_text(name: str, args: JsonObject) -> str:
    """A call on one line."""
    said = ", ".join(f"{key}={canonical_json(value)}" for key, value in args.items())
    return shortened(f"{name}({said})", NOTE_CHARS)


def output_text(output: ToolCallOutput) -> str:
    """What came of a call, on one line."""
    if output.error is not None:
        return shortened(f"failed: {output.error.message}", NOTE_CHARS)
    if not isinstance(output.outcome, Succeeded):
        return "cancelled"
    value = output.value
    return shortened(value if isinstance(value, str) else canonical_json(output.outcome.payload), NOTE_CHARS)
