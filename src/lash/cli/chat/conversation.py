"""The session that is talked to, and what the chat's commands do to it."""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path
from typing import Final, assert_never

import lash
from lash.base.codec import DecodeError, from_json
from lash.base.errors import LashError
from lash.base.json import Json
from lash.cli.chat.told import cells_of
from lash.cli.chat.words import HELP, Command
from lash.cli.output import shortened, when
from lash.runtime.engine import DoubtfulEffect
from lash.runtime.export import ExportFormat
from lash.runtime.input import QueuedInput, TextItem
from lash.sessions.queue import ProcessWakePayload, QueuedWorkBatch, SessionCommandPayload, TurnInputPayload

SHOWN_SESSIONS: Final = 20
SHOWN_CHARS: Final = 100
SHOWN_ITEMS: Final = 50
_MARKS: Final = {"printed": "▪", "problem": "✗"}
_FORMATS: Final[dict[str, ExportFormat]] = {".md": "markdown", ".html": "html", ".htm": "html", ".json": "json"}


class CannotDo(LashError):
    """A command of the chat cannot be carried out as it was typed."""

    code = "chat_command_refused"


class Conversation:
    """One session at a time. Errors of what a person typed are `CannotDo`."""

    def __init__(self, core: lash.LashCore, session: lash.Session, model: str | None) -> None:
        self.core = core
        self.session = session
        self._model = model

    @staticmethod
    async def begin(core: lash.LashCore, session_id: str, model: str | None) -> Conversation:
        """Opens or creates the session; with `model`, it is what the session uses from now on."""
        return Conversation(core, await _opened(core, session_id, model), model)

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.session.session_id

    async def carry_out(self, command: Command) -> str:
        """Does what a command says and tells what came of it. Raises `CannotDo`, and what the session raises."""
        match command.name:
            case "help":
                return HELP
            case "usage":
                return self.usage()
            case "globals":
                return self._globals(command.rest)
            case "cell":
                return self._cell(command.rest)
            case "queue":
                return await self._queue(command.rest)
            case "fork":
                return await self._fork(command.rest)
            case "compact":
                return await self._compact(command.rest)
            case "resume":
                return await self._resume(command.rest)
            case "settle":
                return await self._settle(command.rest)
            case "export":
                return await self._export(command.rest)
            case _:
                raise CannotDo(f"/{command.name} means nothing here; /help lists the commands")

    def doubts(self) -> list[DoubtfulEffect]:
        """Effects of the session whose outcome nobody knows."""
        return [effect for effect in self.core.recovery.in_doubt if effect.session_id == self.session_id]

    def usage(self) -> str:
        """What the session has used, by model."""
        report = self.session.usage
        total = report.usage
        lines = [f"{total.input_tokens} tokens in ({total.cached_input_tokens} cached), {total.output_tokens} out"]
        lines += [
            f"  {entry.source}, {entry.model}: {entry.usage.input_tokens} in, {entry.usage.output_tokens} out"
            for entry in report.by_source_model
        ]
        return "\n".join(lines)

    def _globals(self, name: str) -> str:
        self._must_have_programs("globals")
        variables = self.session.globals
        if name:
            if name not in variables:
                known = ", ".join(variables) or "there are none"
                raise CannotDo(f"/globals {name}: no such variable; known: {shortened(known, SHOWN_CHARS)}")
            value = variables[name]
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        lines = [f"{one} = {shortened(_beginning(value), SHOWN_CHARS)}" for one, value in variables.items()]
        return "\n".join(lines) or "no program has made a variable yet"

    def _cell(self, number: str) -> str:
        self._must_have_programs("cell")
        cells = cells_of(self.session.messages)
        if not cells:
            raise CannotDo("/cell: no program is committed yet")
        if number and not (number.isdigit() and 1 <= int(number) <= len(cells)):
            raise CannotDo(f"/cell {number}: the session has {len(cells)} programs; write /cell and a number of them")
        cell = cells[int(number or len(cells)) - 1]
        return "\n".join([cell.code, *(f"{_MARKS[told.kind]} {told.text}" for told in cell.came_of)])

    def _must_have_programs(self, name: str) -> None:
        if not isinstance(self.core, lash.RlmCore):
            raise CannotDo(f"/{name}: no programs run here; lash chat --mode rlm lets the model write them")

    async def _queue(self, rest: str) -> str:
        waiting = await self.session.queued_work()
        word, _, number = rest.partition(" ")
        if not word:
            lines = [f"{place}  {batch_text(batch)}" for place, batch in enumerate(waiting, 1)]
            return "\n".join(lines) or "nothing waits"
        if word != "drop" or not number.strip().isdigit() or not 1 <= int(number) <= len(waiting):
            raise CannotDo(f"/queue {rest}: {len(waiting)} wait; write /queue, or /queue drop and a number of it")
        batch = waiting[int(number) - 1]
        if await self.session.cancel_queued(batch.batch_id) is None:
            raise CannotDo(f"/queue drop {number}: a turn has taken it already")
        return f"taken back: {batch_text(batch)}"

    async def _fork(self, new_id: str) -> str:
        old_id, new_id = self.session_id, new_id or fresh_id(f"{self.session_id}-fork")
        await self.session.fork(new_id)
        self.session = await _opened(self.core, new_id, self._model)
        return f"{self.session_id} is a copy of {old_id}; it goes its own way from here"

    async def _compact(self, instructions: str) -> str:
        if await self.session.compact(instructions or None):
            return "the conversation goes on from a summary of it"
        return "nothing was compacted: no plugin compacts (lash.stock.RollingHistory does), or there is too little"

    async def _resume(self, session_id: str) -> str:
        stored = await self.core.sessions()
        if not session_id:
            newest = sorted(stored, key=lambda one: one.updated_at_ms, reverse=True)[:SHOWN_SESSIONS]
            lines = [
                f"{'*' if one.session_id == self.session_id else ' '} {one.session_id}  "
                f"{one.turn_index} turns, {when(one.updated_at_ms)}"
                for one in newest
            ]
            return "\n".join(lines) or "no session is stored yet"
        if all(one.session_id != session_id for one in stored):
            raise CannotDo(f"/resume {session_id}: no such session; /resume lists them")
        self.session = await _opened(self.core, session_id, self._model)
        return f"this is session {session_id} now"

    async def _settle(self, rest: str) -> str:
        doubts = self.doubts()
        if not doubts:
            raise CannotDo("/settle: nothing is in doubt")
        if not rest:
            raise CannotDo("/settle: write `/settle again`, or `/settle` and what came of the call")
        effect = doubts[0]
        await self.core.settle(effect, lash.RUN_AGAIN if rest == "again" else lash.ToolResult.ok(rest))
        return f"{effect.replay_key} {'runs again' if rest == 'again' else 'is settled'}"

    async def _export(self, name: str) -> str:
        path = Path(name)
        form = _FORMATS.get(path.suffix.lower())
        if not name or form is None:
            raise CannotDo(f"/export {name}: give a file that ends in {', '.join(sorted(_FORMATS))}")
        document = await self.session.export(form)
        try:
            await asyncio.to_thread(path.write_text, document, encoding="utf-8")
        except OSError as error:
            raise CannotDo(f"/export {name}: {error.strerror or error}; give another file") from error
        return f"{self.session_id} is written to {path}"


def _beginning(value: Json) -> str:
    """Enough of a value to know it by, however large it is."""
    if isinstance(value, list) and len(value) > SHOWN_ITEMS:
        return f"{len(value)} items: {json.dumps(value[:SHOWN_ITEMS], ensure_ascii=False)}"
    if isinstance(value, dict) and len(value) > SHOWN_ITEMS:
        return f"{len(value)} fields: {', '.join(list(value)[:SHOWN_ITEMS])}"
    return json.dumps(value, ensure_ascii=False)


def batch_text(batch: QueuedWorkBatch) -> str:
    """What waits, on one line."""
    said: list[str] = []
    for item in batch.items:
        match item.payload:
            case TurnInputPayload(input=body):
                try:
                    items = from_json(body, QueuedInput).items
                except DecodeError:
                    said.append("input that cannot be read")
                else:
                    said.append(" ".join(one.text if isinstance(one, TextItem) else "an image" for one in items))
            case ProcessWakePayload():
                said.append("a wake of a process")
            case SessionCommandPayload(command=command):
                said.append(f"command {command.get('kind')}")
            case other:
                assert_never(other)
    return shortened(" ".join(said), SHOWN_CHARS)


def fresh_id(prefix: str) -> str:
    """A new session's id."""
    return f"{prefix}-{secrets.token_hex(4)}"


async def _opened(core: lash.LashCore, session_id: str, model: str | None) -> lash.Session:
    session = await core.session(session_id).open()
    if model is not None:
        await session.configure(model=model)
    return session
