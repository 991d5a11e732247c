"""An agent for the command line:

    lash run "Where is order 7?" --app examples.order_desk:core --session desk --turn-id req-1

Run it twice with the same session and turn id: the second time nothing is asked and
nothing runs. Kill it in between: it goes on where it was. The model is scripted, so no key is
needed; put a real one in its place and keep the rest.
"""

import asyncio

import lash
from lash.testing import ScriptedModel, calls, says


@lash.tool
async def lookup_order(order_id: int) -> dict[str, str | int]:
    """Look an order up by its number."""
    await asyncio.sleep(0.2)
    return {"id": order_id, "status": "shipped"}


def core(store: str = "order_desk.db") -> lash.StandardCore:
    """The agent, on a database of its own unless `--store` names one."""
    model = ScriptedModel([calls("lookup_order", order_id=7), says("Order 7 has shipped.")])
    return lash.StandardCore(model=model, tools=[lookup_order], store=store)
