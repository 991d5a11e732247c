"""Whether a value can be written: a variable that cannot would cost its session the whole turn."""

from __future__ import annotations

from itertools import islice

from lash.lashlang.errors import RuntimeFailure
from lash.lashlang.values.kinds import DEPTH_LIMIT, TOO_DEEP, Value
from lash.lashlang.values.room import LONG_TEXT, TEXT_PER_STEP
from lash.lashlang.values.walks import SLICE, Pace, Walk


def keeping_walk(value: Value) -> Walk[None]:
    """Ends where `value` can be written, in slices; its steps are those of writing it.

    Raises `RuntimeFailure` for a value that is nested too deep, `BudgetExceeded` for one that is too large.
    """
    pace = Pace()
    level, depth = [value], 0
    while level:
        deeper: list[Value] = []
        for item in level:
            if isinstance(item, str):
                pace.spend(len(item) // TEXT_PER_STEP if len(item) > LONG_TEXT else 0)
            elif isinstance(item, list | dict):
                if depth > DEPTH_LIMIT:
                    raise RuntimeFailure(TOO_DEEP)
                pace.spend(len(item) + 1)
                parts = iter(item if isinstance(item, list) else item.values())
                while some := list(islice(parts, SLICE)):
                    deeper += [part for part in some if _has_parts(part)]
                    if pace.tired() or len(some) == SLICE:
                        yield 0
        level, depth = deeper, depth + 1


def _has_parts(value: Value) -> bool:
    return isinstance(value, list | dict) or (isinstance(value, str) and len(value) > LONG_TEXT)
