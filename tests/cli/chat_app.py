"""The agent that the tests of `lash chat` talk to: it does what its last message says.

`LOOK n` calls a tool, `WAIT n` one that waits for the file `go`, `PAY n m …` tools that ask, `FAIL` fails.
`STREAM a b` says a, waits for `go` and says b; `RESET a b` takes a back before it says b. Anything else
is repeated. Each tool that runs writes a line to `ran.log`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import lash
from lash.base.cancel import CancelToken
from lash.machine.llm import AttemptReset, LlmRequest, LlmResponse, TextBlock, TextDelta, TextPart
from lash.models.provider import StreamSink
from lash.testing import ScriptedModel, calls, fails, says
from lash.testing.script import Answer

GO = Path("go")
RAN = Path("ran.log")


def ran(what: str) -> None:
    """One line for each execution."""
    with RAN.open("a") as log:
        log.write(f"{what}\n")


async def gate() -> None:
    """Returns when the test lets it."""
    while not GO.exists():  # noqa: ASYNC110, ASYNC240 - the word comes from another process
        await asyncio.sleep(0.01)


@lash.tool
async def look(number: int) -> int:
    """Look at a number."""
    ran(f"look {number}")
    return number


@lash.tool
async def wait(number: int) -> int:
    """Wait for the word."""
    ran(f"wait {number}")
    await gate()
    return number


@lash.tool(approve=True)
async def pay(amount: int) -> str:
    """Pay."""
    ran(f"pay {amount}")
    return f"paid {amount}"


class Model(ScriptedModel):
    """A scripted model that can also stop in the middle of what it says."""

    async def complete(
        self, request: LlmRequest, stream: StreamSink | None = None, cancel: CancelToken | None = None
    ) -> LlmResponse:
        """Streams the first word, waits for the test, and then says the rest, or other words in its place."""
        word, first, *rest = [*asked(request).split(), "", ""][:3] if asked(request) else ["", "", ""]
        if word in ("STREAM", "RESET") and stream is not None:
            stream(TextDelta(first))
            await gate()
            if word == "RESET":
                stream(AttemptReset())
                first = ""
            stream(TextDelta(rest[0]))
            return LlmResponse([TextPart(first + rest[0])])
        return await super().complete(request, stream, cancel)


def asked(request: LlmRequest) -> str:
    """What the person said, if nothing was done about it yet."""
    last = request.messages[-1]
    texts = [block.text for block in last.blocks if isinstance(block, TextBlock)]
    return texts[-1] if last.role == "user" and texts else ""


def answer(request: LlmRequest) -> Answer:
    """Does what the last message of the person says; after tools it tells that they are done."""
    text = asked(request)
    word, _, rest = text.partition(" ")
    match word:
        case "":
            return says("results are in")
        case "LOOK":
            return calls("look", number=int(rest))
        case "WAIT":
            return calls("wait", number=int(rest))
        case "PAY":
            return [calls("pay", amount=int(amount)) for amount in rest.split()]
        case "FAIL":
            return fails("validation", "no such model")
        case _:
            return says(f"heard {text}")


def core(store: str = "agent.db") -> lash.StandardCore:
    """On a file, as `--app chat_app:core`."""
    return lash.StandardCore(model=Model(answer, chunk_chars=4), tools=[look, wait, pay], store=store)
