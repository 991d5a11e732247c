"""The model lists the processes of its session and cancels them, in both modes."""

from __future__ import annotations

import lash
from lash.stock import ProcessControls
from lash.testing import ScriptedModel, calls, cell, says

LISTING = """
all = await processes.list({ status: "any" })?
gone = await processes.cancel({ handle: all[0], reason: "enough" })?
refused = await processes.cancel({ handle: "other" })
bad = await processes.list({ status: "lost" })
submit { labels: [x.descriptor.label for x in all], gone: gone, refused: refused.error, bad: bad.ok }
"""


async def test_a_program_lists_and_cancels_what_its_session_sees() -> None:
    from lash.lashlang.syntax.features import LanguageFeatures
    from lash.protocols.rlm.options import RlmConfig

    config = RlmConfig(language_features=LanguageFeatures(comprehensions=True))
    core = lash.RlmCore(model=ScriptedModel([cell(LISTING)]), rlm=config, plugins=[ProcessControls()])
    async with core, core.session("s") as session:
        handle = await session.processes.start(lash.External("deploy"), wake=False)
        await core.processes.start(lash.External("of somebody else"), id="other")
        turn = await session.run("go")
        events = [event.event_type async for event in handle.events(follow=False)]

    assert turn.value == {
        "labels": ["deploy"],
        "gone": {"process_id": handle.id, "status": "running"},
        "refused": "process handle `other` is not live or visible in this session",
        "bad": False,
    }
    assert "process.cancel_requested" in events


async def test_a_model_in_standard_mode_cancels_by_id() -> None:
    model = ScriptedModel([calls("list_process_handles"), calls("cancel_process", handle="deploy-1"), says("done")])
    core = lash.StandardCore(model=model, plugins=[ProcessControls()])
    async with core, core.session("s") as session:
        await session.processes.start(lash.External("deploy"), id="deploy-1", wake=False)
        turn = await session.run("go")

    listed, cancelled = (record.output.value for record in turn.tool_calls)
    assert isinstance(listed, list)
    assert [line["id"] for line in listed if isinstance(line, dict)] == ["deploy-1"]
    assert cancelled == {"process_id": "deploy-1", "status": "running"}


async def test_looking_alone_offers_no_cancel() -> None:
    model = ScriptedModel([says("done")])
    core = lash.StandardCore(model=model, plugins=[ProcessControls(include_cancel=False)])
    async with core, core.session("s") as session:
        await session.run("go")

    assert [tool.name for tool in model.requests[0].tools] == ["list_process_handles"]
