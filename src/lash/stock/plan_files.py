"""Which files a tool call would change, for tools that a mode lets write to one file only. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from lash.base.canonical import tagged_hash
from lash.base.json import Json, JsonObject

# The files that a call with these arguments would change. None at all means: nobody knows.
PathsOf: TypeAlias = Callable[[JsonObject], Iterable[str]]

_PATCH_HEADER = re.compile(r"^\*\*\* (?:(?:Add|Update|Delete) File|Move to): (.+?)\s*$", re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_-]+")


def paths_of_patch(args: JsonObject) -> list[str]:
    """Every file that a patch envelope adds, updates, deletes or moves to, in whichever argument it is."""
    return [path for text in _texts(args) for path in _PATCH_HEADER.findall(text)]


def path_argument(name: str) -> PathsOf:
    """For tools that write to the file in one argument."""

    def paths(args: JsonObject) -> list[str]:
        path = args.get(name)
        return [path] if isinstance(path, str) else []

    return paths


def changes_only(paths: Iterable[str], allowed: str) -> bool:
    """Whether there are paths, and each of them is the one that is allowed."""
    found = [posixpath.normpath(path) for path in paths]
    return bool(found) and all(path == posixpath.normpath(allowed) for path in found)


def plan_file(directory: str, session_id: str) -> str:
    """The plan file of a session: one name for each id, and never outside of `directory`."""
    name = session_id
    if _PLAIN.fullmatch(session_id) is None:
        name = f"{_NOT_PLAIN.sub('-', session_id)[:60].strip('-')}-{tagged_hash('lash.plan.file', session_id)[:8]}"
    return posixpath.join(directory, f"{name.lstrip('-')}.md")


def _texts(value: Json) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for item in value.values():
                yield from _texts(item)
        case _:
            pass
