"""The stock plugins are loaded by those who use them."""

from __future__ import annotations

import subprocess
import sys

import lash.stock

OPENED = """
import asyncio, sys
import lash
from lash.testing import ScriptedModel

async def main():
    async with lash.StandardCore(model=ScriptedModel([]), store=":memory:") as core:
        await core.processes.start(lash.External("elsewhere"))
        core.worker.poke()
        await asyncio.sleep(0)

asyncio.run(main())
print(*sorted(name for name in sys.modules if name.startswith("lash.lashlang")))
"""


def test_every_name_can_be_had() -> None:
    found = {name: getattr(lash.stock, name) for name in lash.stock.__all__}

    classes = {name: value.__name__ for name, value in found.items() if isinstance(value, type)}
    assert classes == {name: name for name in classes}
    assert set(found) - set(classes) == {"SCHEDULES"}


def test_a_standard_core_at_work_loads_nothing_of_the_language() -> None:
    done = subprocess.run([sys.executable, "-c", OPENED], check=True, capture_output=True, text=True, timeout=60)

    assert done.stdout.split() == []
