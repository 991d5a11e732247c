"""The processes of the demo, from outside: started, listened to, killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Final

import msgspec

import lash
from lash.base.canonical import parse_json
from lash.base.json import JsonObject
from lash.cli.demo.orders import Orders
from lash.cli.demo.witness import DemoBroken

# A boundary is reached in well under a second; a process that is silent for this long is stuck.
DEADLINE_S: Final = 60.0


class Child:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process, errors: Path) -> None:
        self._process = process
        self._errors = errors

    @staticmethod
    async def start(orders: Orders, errors: Path) -> Child:
        """Starts one; what it says on its error output is appended to `errors`."""
        # -P: a file `types.py` in the folder where the demo is started must not become a module.
        here = Path(lash.__file__).parents[1]
        path = os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH")]))
        with errors.open("ab") as stream:
            process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-P", "-m", "lash.cli.demo.child"],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stream,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is ours to handle
            )
        assert process.stdin is not None
        # Not as an argument: a store's address may hold a password, and arguments are public.
        process.stdin.write(msgspec.json.encode(orders) + b"\n")
        return Child(process, errors)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    async def fact(self) -> JsonObject:
        """What it says next. Raises `DemoBroken` when it says nothing or is gone."""
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), DEADLINE_S)
        except TimeoutError as error:
            raise DemoBroken(f"process {self.pid} said nothing for {DEADLINE_S:.0f} s; {self.last_words()}") from error
        fact = parse_json(line.decode()) if line else None
        if not isinstance(fact, dict):
            raise DemoBroken(f"process {self.pid} ended by itself; {self.last_words()}")
        return fact

    async def reaches(self, boundary: str, told: str) -> None:
        """Returns when it says that it is there. Raises `DemoBroken` when it says something else."""
        fact = await self.fact()
        if fact.get("reached") != boundary:
            raise DemoBroken(f"process {self.pid} was to stop {told} and said {fact}; please report this")

    def go_on(self) -> None:
        """Lets it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go on\n")

    async def kill(self) -> bool:
        """Kills it, unless it is dead; whether SIGKILL ended it."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
        return await self._process.wait() == -signal.SIGKILL

    async def end(self) -> None:
        """Waits for it to end by itself. Raises `DemoBroken` when it ended badly."""
        code = await asyncio.wait_for(self._process.wait(), DEADLINE_S)
        if code != 0:
            raise DemoBroken(f"process {self.pid} ended with {code}; {self.last_words()}")

    def last_words(self) -> str:
        """The last line that any of them left."""
        lines = self._errors.read_text(errors="replace").split("\n") if self._errors.exists() else []
        said = [line for line in lines if line.strip()]
        return f"its last words: {said[-1]}" if said else "it left no message"
