"""Work that outlives its program. In one terminal:

    lash worker --app examples.night_reports:core

and in another, as often as you like:

    lash processes start write_report --app examples.night_reports:core --args '{"topic": "tides"}' --wake desk
    lash processes ls --all --store night_reports.db
    lash sessions show desk --store night_reports.db

Kill the worker while it writes and start another: the report is written all the same, and the session
`desk` speaks when it is done. The model is scripted, so no key is needed.
"""

import asyncio

import lash
from lash.testing import ScriptedModel, says


@lash.tool(repeat="safe")
async def write_report(topic: str) -> dict[str, str | int]:
    """Writes a report, which takes a while."""
    await asyncio.sleep(0.2)
    return {"topic": topic, "pages": 3}


@lash.tool
async def remind(text: str) -> str:
    """Says what somebody wanted to be reminded of."""
    return text


def core(store: str = "night_reports.db") -> lash.StandardCore:
    """The agent, on a database of its own unless `--store` names one."""
    model = ScriptedModel([says("Your report is ready.")] * 100)
    return lash.StandardCore(model=model, tools=[write_report, remind], store=store)
