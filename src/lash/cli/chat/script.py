"""The conversation through a pipe: lines in, answers out, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import lash
from lash.base.errors import LashError
from lash.cli.chat.conversation import CannotDo, Conversation
from lash.cli.chat.pipe import Lines, PipeFace
from lash.cli.chat.talk import recovered_lines
from lash.cli.chat.transcript import Transcript, call_text
from lash.cli.chat.words import Answer, Command, Message, Nothing, Unknown, understand, understand_answer
from lash.cli.failure import DONE, FAILED, INTERRUPTED, one_line
from lash.runtime import activity

NOBODY = "nobody could be asked: the input of the chat gave no answer"


class Script:
    """Runs what the lines say. A failed turn or command does not stop those behind it."""

    def __init__(self, core: lash.LashCore, conversation: Conversation) -> None:
        self._core = core
        self._conversation = conversation
        self._face = PipeFace()
        self._transcript = Transcript(self._face)
        self._lines = Lines()
        self._has_failed = False
        self._is_running = False
        self._interrupts = 0

    async def run(self) -> int:
        """The exit code: 0, 1 when a turn or a command failed, 130 when it was interrupted."""
        for recovered in recovered_lines(self._core, self._conversation.session_id):
            self._face.note(recovered, "good")
        async with self._signals():
            with contextlib.suppress(asyncio.CancelledError):
                while (line := await self._lines.next()) is not None:
                    if not await self._take(line):
                        break
        if self._interrupts:
            return INTERRUPTED
        return FAILED if self._has_failed else DONE

    async def _take(self, line: str) -> bool:
        """Whether to go on."""
        try:
            match understand(line):
                case Nothing():
                    pass
                case Message(text=text) | Command(name="now", rest=text):
                    await self._say(text)
                case Command(name="quit"):
                    return False
                case Command() as command:
                    self._face.note(await self._conversation.carry_out(command), "plain")
                case Unknown(name=name):
                    raise CannotDo(f"/{name} is no command; //{name} says it to the agent")
        except LashError as error:
            self._has_failed = True
            self._face.note(error.message if isinstance(error, CannotDo) else one_line(error), "bad")
        return not self._interrupts

    async def _say(self, text: str) -> None:
        if not text:
            return
        self._transcript.begin()
        self._is_running = True
        try:
            async with self._conversation.session.stream(text) as stream:
                async for item in stream:
                    self._transcript.hear(item.event)
                    if isinstance(item.event, activity.ApprovalRequested):
                        await self._ask(item.event)
                result = await stream.result()
        finally:
            self._is_running = False
        self._transcript.end(result.outcome)
        self._has_failed = self._has_failed or not result.ok

    async def _ask(self, asked: activity.ApprovalRequested) -> None:
        """The next line answers, if it is an answer. A script that goes on without one has not approved."""
        line = await self._lines.next()
        answer = None if line is None else understand_answer(line)
        if answer is None:
            if line is not None:
                self._lines.keep(line)
            self._face.note(f"{call_text(asked.name, asked.args)} was not approved: {NOBODY}", "warning")
            answer = Answer(is_yes=False, place=1, reason=NOBODY)
        if answer.is_yes:
            await self._core.approvals.approve(asked.approval_id)
        else:
            await self._core.approvals.deny(asked.approval_id, answer.reason)

    @asynccontextmanager
    async def _signals(self) -> AsyncIterator[None]:
        """The first Ctrl-C cancels the turn, the second one leaves; without a turn the first one leaves."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        cancelling: list[asyncio.Task[bool]] = []

        def interrupted() -> None:
            self._interrupts += 1
            if self._interrupts == 1 and self._is_running:
                cancelling.append(asyncio.ensure_future(self._conversation.session.cancel()))
            else:
                task.cancel()

        loop.add_signal_handler(signal.SIGINT, interrupted)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            for asking in cancelling:
                with contextlib.suppress(LashError):
                    await asking
