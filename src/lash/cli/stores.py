"""Opening the store that a command works on. A command that reads never makes a database."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import lash


class NoSuchStore(lash.ConfigurationError):
    """The store that a command was pointed at is not there."""

    code = "no_such_store"


async def open_store(where: str, *, read_only: bool = True) -> lash.Store:
    """An existing store. Raises `NoSuchStore` and what `Store.open` raises."""
    is_file = "://" not in where and where != ":memory:"
    if is_file and not await asyncio.to_thread(Path(where).exists):
        raise NoSuchStore(f"store {where!r} does not exist; check --store or LASH_STORE")
    return await lash.Store.open(where, read_only=read_only)


def shown(where: str) -> str:
    """The store's name as it may be printed: a password stays unsaid."""
    password = urlsplit(where).password if "://" in where else None
    return where.replace(f":{password}@", ":***@", 1) if password else where
