"""The async shell around an execution: it performs requests through a host."""

from __future__ import annotations

import asyncio
from typing import Protocol

from lash.lashlang.execution.driver import Execution
from lash.lashlang.execution.effects import Answer, Request
from lash.lashlang.execution.outcomes import Breath, Continued, Failed, Faulted, Finished, Outcome, Step


class ExecutionHost(Protocol):
    """Who performs what a program asks for."""

    async def perform(self, request: Request) -> Answer:
        """Does it. A failure the program may see is `Refused`; anything raised ends the run."""
        ...


async def run_body(execution: Execution, host: ExecutionHost) -> Outcome:
    """Runs to the end. Other tasks get their turn at every effect and every few milliseconds.

    A cancelled run stops where it is; a cell keeps the assignments made so far.
    """
    try:
        step: Step = execution.start()
        while not isinstance(step, Finished | Failed | Continued | Faulted):
            if isinstance(step, Breath):
                await asyncio.sleep(0)
                step = execution.resume()
            else:
                step = execution.resume(await host.perform(step))
        return step
    finally:
        execution.close()
