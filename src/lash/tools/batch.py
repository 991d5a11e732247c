"""In which order the calls of one answer run. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from lash.tools.definition import Scheduling


def waves(scheduling: Sequence[Scheduling]) -> list[list[int]]:
    """Indices of calls in waves: all parallel ones together first, then each serial one alone, in call order."""
    together = [index for index, kind in enumerate(scheduling) if kind == "parallel"]
    alone = [[index] for index, kind in enumerate(scheduling) if kind == "serial"]
    return [together, *alone] if together else alone
