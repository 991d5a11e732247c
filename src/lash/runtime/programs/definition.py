"""A process of a program, as a host asks for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LangProcess:
    """A process of a program in lashlang. Added in 0.1.

    `process` says which; it may be left out where the program declares one, or one called `main`.

    ```python
    lash.LangProcess("process nap(ms: int) { sleep for ms  finish ms }")
    ```
    """

    source: str
    process: str | None = None
