"""The process that dies: `python -m lash.cli.demo.child`, with its orders as the first line of its input."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from lash.cli.demo.orders import Orders


async def follow(orders: Orders) -> None:
    """Does what it is told. Each act loads what it needs, and no more."""
    if orders.act == "calls":
        from lash.cli.demo.first_work import work
    else:
        from lash.cli.demo.second_work import work
    await work(orders)


if __name__ == "__main__":
    asyncio.run(follow(msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)))
