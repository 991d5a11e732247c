"""The agent in RLM mode that the tests of `lash chat` talk to: it runs what its last message says.

`RUN a ;; b` runs the program a, and after it b. Anything else is repeated, without a program.
Each tool that runs writes a line to `ran.log`.
"""

from __future__ import annotations

import lash
from cli.chat_app import gate, pay, ran
from lash.machine.llm import LlmRequest, TextBlock
from lash.protocols.rlm.options import Ending, ProseOrSubmit, RlmConfig
from lash.testing import ScriptedModel, cell, says
from lash.testing.script import Answer


@lash.tool(module="orders")
async def total(order: int) -> int:
    """What an order costs."""
    ran(f"total {order}")
    return order * 100


@lash.tool
async def wait(number: int) -> int:
    """Wait for the word."""
    ran(f"wait {number}")
    await gate()
    return number


def answer(request: LlmRequest) -> Answer:
    """The program of this iteration."""
    texts = [
        block.text
        for message in request.messages
        if message.role == "user"
        for block in message.blocks
        if isinstance(block, TextBlock)
    ]
    assert request.place is not None
    asked = next(text for text in reversed(texts[:-1]) if not text.startswith(("Output", "Error", "The cell")))
    if not asked.startswith("RUN "):
        return says(f"heard {asked}")
    programs = asked.removeprefix("RUN ").split(" ;; ")
    return cell(programs[request.place.iteration], prose=f"Program {request.place.iteration + 1} of {len(programs)}.")


def core(store: str = "agent.db") -> lash.RlmCore:
    """On a file, as `--app cli.rlm_chat_app:core`."""
    config = RlmConfig(ending=Ending(ProseOrSubmit()))
    return lash.RlmCore(model=ScriptedModel(answer, chunk_chars=4), tools=[total, wait, pay], store=store, rlm=config)
