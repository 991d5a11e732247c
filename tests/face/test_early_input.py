"""Early input and trouble of the store: what a turn has claimed stands in its conversation, or waits for the next."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import lash
from face.places import texts
from lash.testing import ScriptedModel, StoreFaults, calls, says


@pytest.mark.parametrize("what", ["append_with_blobs", "append", "claim_under_lease"])
@pytest.mark.parametrize("lost_acknowledgement", [False, True])
@pytest.mark.parametrize("after", [0, 1, 2])
async def test_what_was_claimed_and_not_recorded_is_said_all_the_same(
    tmp_path: Path, what: str, *, lost_acknowledgement: bool, after: int
) -> None:
    """The row of the tool, or of the checkpoint, cannot be written: another drive begins, which holds the claim."""
    faults = StoreFaults()
    store = await faults.open(str(tmp_path / "agent.db"))

    @lash.tool
    async def work() -> str:
        """Is told something meanwhile, and meets trouble afterwards."""
        if not await session.queued_work() and "user: hurry" not in texts(session.messages):
            await session.enqueue("hurry", id="early", delivery_policy="earliest_safe_boundary")
        faults.fail(what, after=after, lost_acknowledgement=lost_acknowledgement)
        return "worked"

    model = ScriptedModel([calls("work"), says("done"), says("and done"), says("no")], order="calls")
    # A claim whose acknowledgement was lost runs out by itself.
    quick = lash.LeaseTimings(ttl_ms=600, renew_ms=100)
    core = lash.StandardCore(model=model, tools=[work], store=store, lease_timings=quick)
    async with store, core, core.session("s") as session:
        await session.run("go")
        faults.heal()
        async with asyncio.timeout(20):
            while "user: hurry" not in texts(session.messages):
                await asyncio.sleep(0.01)
                await session.refresh()
        await session.run("anything else?")

        assert texts(session.messages).count("user: hurry") == 1
