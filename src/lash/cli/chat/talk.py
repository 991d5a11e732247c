"""The conversation at a terminal.

One task reads what happens in the session (`session.observe`), the terminal tells what is
typed, and both meet in one queue: whatever is shown or done is shown or done in order.
Messages go through the session's durable queue, so that what was typed ahead survives.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

import lash
from lash.base.errors import LashError
from lash.cli.chat.conversation import CannotDo, Conversation
from lash.cli.chat.editor import Ended, Entered, Interrupted, Typed
from lash.cli.chat.face import Tone
from lash.cli.chat.terminal import Terminal
from lash.cli.chat.told import last_exchange, told_of
from lash.cli.chat.transcript import Transcript, call_text
from lash.cli.chat.words import Answer, Command, Message, Nothing, Unknown, understand, understand_answer
from lash.cli.failure import DONE, INTERRUPTED, one_line
from lash.cli.output import shortened
from lash.effects import Accepted
from lash.plugins.directives import CustomEvent
from lash.protocols.rlm.cells import OPENED as PROGRAM_BEGINS
from lash.runtime import activity
from lash.runtime.observation.events import (
    Committed,
    Gap,
    HistoryReplaced,
    ObservationEvent,
    Observed,
    QueueChanged,
    SessionSnapshot,
    TurnEnded,
    TurnStarted,
    TurnTold,
)
from lash.sessions.accept import turn_id_of

# How much of the last answer is shown when a session is opened again.
SHOWN_CHARS: Final = 600


@dataclass(frozen=True, slots=True)
class _Unwatched:
    """The session cannot be watched any more."""

    error: LashError


@dataclass(frozen=True, slots=True)
class _CommandDone:
    """A command that took its time is over."""

    text: str
    tone: Tone


_Happening: TypeAlias = Typed | Observed | _Unwatched | _CommandDone


class Talk:
    """Talks until the person leaves."""

    def __init__(self, core: lash.LashCore, conversation: Conversation) -> None:
        self._core = core
        self._conversation = conversation
        self._happenings: asyncio.Queue[_Happening] = asyncio.Queue()
        self._terminal = Terminal(self._happenings.put_nowait)
        self._transcript = Transcript(self._terminal, is_thought_shown=isinstance(core, lash.RlmCore))
        # What the running turn does, where that takes its time.
        self._doing = ""
        self._running: str | None = None
        # Turns whose activities were shown here: their commit shows nothing new.
        self._shown: set[str] = set()
        self._asked: dict[str, str] = {}
        self._queued: list[str] = []
        # Turns of what was typed here.
        self._typed: set[str] = set()
        # What was typed here while something ran, by the turn that it will start.
        self._ahead: dict[str, str] = {}
        # Commands that wait for the end of the running turn.
        self._later: list[Command] = []
        # Typed before the session was shown.
        self._early: list[Typed] = []
        self._is_open = False
        self._working: asyncio.Task[None] | None = None
        self._is_leaving = False
        self._code: int | None = None

    async def run(self) -> int:
        """The exit code: 0 when the person left, 130 after a second Ctrl-C."""
        async with self._terminal, self._signals():
            while self._code is None:
                session, self._is_open = self._conversation.session, False
                watching = asyncio.create_task(self._watch(session), name="watch session")
                try:
                    while self._code is None and self._conversation.session is session:
                        await self._take(await self._happenings.get())
                finally:
                    watching.cancel()
                    await asyncio.wait([watching])
            if self._working is not None:
                self._working.cancel()
                await asyncio.wait([self._working])
            self._say_farewell()
        return self._code

    # what happens

    async def _watch(self, session: lash.Session) -> None:
        try:
            async for seen in session.observe():
                self._happenings.put_nowait(seen)
        except LashError as error:
            self._happenings.put_nowait(_Unwatched(error))

    @asynccontextmanager
    async def _signals(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._happenings.put_nowait, Interrupted())
        loop.add_signal_handler(signal.SIGTERM, self._happenings.put_nowait, Ended())
        loop.add_signal_handler(signal.SIGHUP, self._happenings.put_nowait, Ended())
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def _take(self, happening: _Happening) -> None:
        try:
            match happening:
                case Entered() if not self._is_open:
                    self._early.append(happening)
                case Entered(text=text):
                    self._is_leaving = False
                    await self._entered(text)
                case Interrupted():
                    await self._interrupted()
                case Ended():
                    self._code = DONE
                case ObservationEvent() if happening.session_id == self._conversation.session_id:
                    await self._saw(happening)
                case Gap() if happening.session_id == self._conversation.session_id:
                    await self._lost(happening)
                case ObservationEvent() | Gap():
                    pass  # of the session that was left
                case _CommandDone(text=text, tone=tone):
                    self._terminal.note(text, tone)
                case _Unwatched(error=error):
                    self._terminal.note(one_line(error), "bad")
        except LashError as error:
            self._terminal.note(one_line(error) if not isinstance(error, CannotDo) else error.message, "bad")
        self._show_status()

    # what is typed

    async def _entered(self, text: str) -> None:
        if self._asked and (answer := understand_answer(text)) is not None:
            self._terminal.echo(text)
            await self._answer(answer)
            return
        match understand(text):
            case Nothing():
                pass
            case Message(text=said):
                await self._say(said)
            case Command(name="now", rest=said) if said:
                await self._say(said, is_early=True)
            case Unknown(name=name):
                self._terminal.note(f"/{name} is no command; /help lists them, //{name} says it to the agent", "bad")
            case Command(name="quit"):
                self._code = DONE
            case Command(name="cancel"):
                if not await self._conversation.session.cancel():
                    self._terminal.note("nothing runs")
            case Command() as command:
                self._terminal.echo(text)
                await self._carry_out(command)

    async def _say(self, text: str, *, is_early: bool = False) -> None:
        is_ahead = self._running is not None or bool(self._queued)
        session = self._conversation.session
        in_front = await session.queued_work() if is_early and self._queued else []  # nothing overtakes
        joins = is_early and all(batch.delivery_policy == "earliest_safe_boundary" for batch in in_front)
        batch = await session.enqueue(
            text,
            delivery_policy="earliest_safe_boundary" if is_early else "after_current_turn_commit",
            slot_policy="join" if is_early else "exclusive",
        )
        self._typed.add(turn_id_of(batch))
        # Only now: what is shown as queued survives a kill.
        if not is_ahead:
            self._terminal.echo(text)
            return
        self._ahead[turn_id_of(batch)] = text
        self._terminal.note(f"to join the running turn: {text}" if joins else f"queued: {text}")

    async def _carry_out(self, command: Command) -> None:
        if command.name in ("compact", "fork") and self._running is not None:
            self._later.append(command)
            self._terminal.note(f"/{command.name} waits for the end of the turn")
            return
        if command.name == "cell" and not command.rest and self._running and self._transcript.program:
            self._terminal.note(self._transcript.program, "plain")  # it is not committed yet
            return
        if command.name == "compact":  # it asks a model
            if self._working is not None and not self._working.done():
                raise CannotDo("/compact: it is being done already")
            self._working = asyncio.create_task(self._work(command), name="compact")
            return
        before = self._conversation.session
        self._terminal.note(await self._conversation.carry_out(command), "plain")
        if self._conversation.session is not before:
            self._running, self._queued = None, []
            self._asked.clear()
            self._ahead.clear()
            self._later.clear()

    async def _work(self, command: Command) -> None:
        try:
            done = _CommandDone(await self._conversation.carry_out(command), "plain")
        except LashError as error:
            done = _CommandDone(one_line(error), "bad")
        self._happenings.put_nowait(done)

    async def _answer(self, answer: Answer) -> None:
        asked = list(self._asked)
        if answer.place > len(asked):
            raise CannotDo(f"only {len(asked)} ask; answer with y or n and the number shown")
        for approval_id in asked if answer.place == 0 else [asked[answer.place - 1]]:
            approvals = self._core.approvals
            if answer.is_yes:
                outcome = await approvals.approve(approval_id)
            else:
                outcome = await approvals.deny(approval_id, answer.reason)
            question = self._asked.pop(approval_id, "it")
            if not isinstance(outcome, Accepted):
                self._terminal.note(f"{question} was answered elsewhere meanwhile", "warning")

    async def _interrupted(self) -> None:
        if self._is_leaving:
            self._code = INTERRUPTED
            return
        self._is_leaving = True
        if self._terminal.editor.text and self._running is None:
            self._terminal.editor.clear()
        if self._running is not None and await self._conversation.session.cancel():
            self._terminal.note("cancelling; Ctrl-C again leaves", "warning")
        else:
            self._terminal.note("Ctrl-C again leaves", "warning")

    # what the session tells

    async def _saw(self, event: ObservationEvent) -> None:
        match event.payload:
            case SessionSnapshot() as snapshot:
                self._show_opening(snapshot)
                await self._take_over(snapshot)
                self._is_open = True
                early, self._early = self._early, []
                for typed in early:
                    await self._take(typed)
            case TurnStarted(turn_id=turn_id, is_here=is_here):
                self._transcript.begin()
                self._running, self._doing = turn_id, ""
                if is_here:
                    self._shown.add(turn_id)
                if text := self._ahead.pop(turn_id, None):
                    self._terminal.echo(text)
                elif is_here and turn_id not in self._typed:
                    self._terminal.note("a turn begins that was not typed in this chat")
            case TurnTold(activity=told):
                self._told(told.event)
            case TurnEnded(turn_id=turn_id, outcome=outcome):
                if turn_id == self._running:
                    self._running = None
                self._asked.clear()
                self._transcript.end(outcome)
                self._show_doubts()
                later, self._later = self._later, []
                for command in later:
                    await self._carry_out(command)
            case Committed() as committed:
                self._show_committed(committed)
            case HistoryReplaced():
                self._terminal.note("the conversation begins anew")
            case QueueChanged(queued=queued):
                self._queued = [view.batch_id for view in queued]
            case _:
                pass

    def _told(self, event: activity.TurnEvent) -> None:
        self._transcript.hear(event)
        match event:
            case activity.ModelRequestStarted():
                self._doing = ""
            case activity.PluginRuntime(event=CustomEvent(name=name)) if name == PROGRAM_BEGINS:
                self._doing = ", a program is being written"
            case activity.CodeBlockStarted():
                self._doing = ", its program runs"
            case activity.ApprovalRequested(approval_id=approval_id, name=name, args=args):
                self._ask(approval_id, call_text(name, args))
            case activity.ApprovalResolved(approval_id=approval_id, name=name, approved=is_approved, reason=reason):
                self._asked.pop(approval_id, None)
                why = f": {shortened(reason, SHOWN_CHARS)}" if reason and not is_approved else ""
                self._terminal.note(f"{name} is {'approved' if is_approved else 'not approved'}{why}")

    async def _lost(self, gap: Gap) -> None:
        if gap.reason == "not_live_here":
            self._terminal.note("a turn of this session runs in another process; its answer shows when it is committed")
        else:
            self._terminal.note(f"some of what happened is not shown ({gap.reason})", "warning")
        self._transcript.begin()
        await self._take_over(gap.snapshot)

    async def _take_over(self, snapshot: SessionSnapshot) -> None:
        self._queued = [view.batch_id for view in snapshot.queued]
        self._running = None if snapshot.turn is None else snapshot.turn.turn_id
        if snapshot.turn is not None and snapshot.turn.is_here:
            self._shown.add(snapshot.turn.turn_id)
            for block in snapshot.turn.blocks:
                if block.kind == "prose":
                    self._transcript.hear(activity.AssistantProseDelta(block.text))
            if snapshot.turn.program is not None:
                self._told(snapshot.turn.program)
            for tool in snapshot.turn.tools:
                self._transcript.hear(tool)
        for approval in await self._conversation.session.pending_approvals():
            self._ask(approval.id, call_text(approval.tool, approval.args))

    def _show_opening(self, snapshot: SessionSnapshot) -> None:
        session_id = self._conversation.session_id
        if not snapshot.messages:
            self._terminal.note(f"session {session_id}; /help lists the commands")
        else:
            self._terminal.note(
                f"session {session_id}, {len(snapshot.messages)} messages so far; /help lists the commands"
            )
            for told in last_exchange(snapshot.messages):
                self._terminal.note(f"{told.kind}: {shortened(told.text, SHOWN_CHARS)}")
        if self._core.tier == "inline":
            self._terminal.note("nothing of it is kept: the store is in memory; --store FILE keeps it", "warning")
        for line in recovered_lines(self._core, session_id):
            self._terminal.note(line, "good")
        if snapshot.queued:
            self._terminal.note(f"recovered: {len(snapshot.queued)} queued, they run in their order", "good")
        self._show_doubts()

    def _show_doubts(self) -> None:
        for effect in self._conversation.doubts():
            self._terminal.note(
                f"in doubt: {effect.replay_key} was started and nobody knows what came of it; "
                "`/settle again` runs it again, `/settle TEXT` says what came of it",
                "warning",
            )

    def _show_committed(self, committed: Committed) -> None:
        if committed.turn_id is None or committed.turn_id in self._shown:
            return
        for told in told_of(committed.messages):
            if told.kind == "you":
                self._terminal.echo(told.text)
            else:
                self._transcript.tell(told)

    def _ask(self, approval_id: str, call: str) -> None:
        if approval_id not in self._asked:
            self._asked[approval_id] = call
            self._terminal.note(f"? {call} asks to run", "warning")

    def _show_status(self) -> None:
        lines: list[tuple[str, Tone]] = [
            (f"? {place}  {call}   y {place} / n {place} REASON", "warning")
            for place, call in enumerate(self._asked.values(), 1)
        ]
        if self._running is not None:
            waits = f", {len(self._queued)} queued" if self._queued else ""
            lines.append((f"… a turn runs{self._doing}{waits}; Ctrl-C cancels it", "faint"))
        self._terminal.show_status(lines)

    def _say_farewell(self) -> None:
        left = [f"turn {self._running}"] if self._running is not None else []
        left += [f"{len(self._queued)} queued"] if self._queued else []
        if not left:
            return
        if self._core.tier == "inline":
            self._terminal.note(f"{' and '.join(left)} lost: the store is in memory", "warning")
        else:
            self._terminal.note(
                f"{' and '.join(left)} stay; they go on with `lash chat --session {self._conversation.session_id}`"
            )


def recovered_lines(core: lash.LashCore, session_id: str) -> list[str]:
    """What an earlier process left, as far as it concerns a session."""
    report = core.recovery
    lines = [
        f"recovered: turn {turn.turn_id} goes on from what is recorded"
        for turn in report.resumed
        if turn.session_id == session_id
    ]
    lines += [
        f"recovered: turn {turn.turn_id} waits for its answer again"
        for turn in report.waiting
        if turn.session_id == session_id
    ]
    others = sum(turn.session_id != session_id for turn in [*report.resumed, *report.waiting])
    return [*lines, f"recovered: {others} turns of other sessions"] if others else lines
