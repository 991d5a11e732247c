"""What running turns tell, shared between processes: appended in batches, read in order, swept soon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lash.stores.dialect import Statement
from lash.stores.program import Query, Row, Steps, each, execute, many, notify, program


class ToldRow(NamedTuple):
    """Consecutive activities of one drive of one turn."""

    seq: int
    turn_id: str
    drive_id: str
    first_number: int
    activities_json: str


APPEND = Statement(
    """
    INSERT INTO lash_live_replay (session_id, turn_id, drive_id, first_number, activities_json, told_at_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    """
)
AFTER = Query(
    ToldRow,
    """
    SELECT seq, turn_id, drive_id, first_number, activities_json
    FROM lash_live_replay
    WHERE session_id = ?1 AND turn_id = ?2 AND seq > ?3
    ORDER BY seq
    """,
)
SWEEP = Statement("DELETE FROM lash_live_replay WHERE told_at_ms < ?1")


@program("write")
def append(rows: Sequence[Row], sweep_before_ms: int | None) -> Steps[None]:
    """Appends batches. A repeat may append them twice: readers know their numbers."""
    if sweep_before_ms is not None:
        yield from execute(SWEEP, sweep_before_ms)
    yield from each(APPEND, rows)
    yield from notify()


@program("read")
def after(session_id: str, turn_id: str, seq: int) -> Steps[list[ToldRow]]:
    """What followed, in order."""
    return (yield from many(AFTER, session_id, turn_id, seq))
