"""Statements over rows: one text, one execution for all rows on PostgreSQL, one for each on SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.places import Kind
from lash.base.clock import SystemClock
from lash.stores.dialect import InvalidStatement, Statement
from lash.stores.driver import Driver, UniqueViolation
from lash.stores.postgres import PostgresDriver
from lash.stores.program import Query, Row, Steps, each, execute, many, many_each, program, together, write, write_each
from lash.stores.sqlite import SqliteDriver
from services.shared import PgSchema


class Line(NamedTuple):
    """A row."""

    name: str
    n: int | None
    body: str | None


class Place(NamedTuple):
    """A part of a row."""

    name: str
    n: int | None


MAKE = Statement("CREATE TABLE IF NOT EXISTS lines (name {text} NOT NULL PRIMARY KEY, n {int}, body {text}) {table}")
ADD = Statement(
    "INSERT INTO lines (name, n, body) SELECT rows.name, rows.n, rows.body FROM {rows: name text, n int, body text}"
)
RAISE = Statement("UPDATE lines SET n = n + rows.by FROM {rows: name text, by int} WHERE name = rows.name")
DROP = Statement("DELETE FROM lines WHERE name IN (SELECT rows.name FROM {rows: name text})")
CLEAR = Statement("DELETE FROM lines")
FIND = Query(
    Place,
    "SELECT name, n FROM lines, {rows: wanted text} WHERE name = rows.wanted ORDER BY name {for_update}",
)
ALL = Query(Line, "SELECT name, n, body FROM lines ORDER BY name")


@program("write")
def make() -> Steps[None]:
    yield from execute(MAKE)


@program("write")
def add(rows: list[Row]) -> Steps[None]:
    yield from each(ADD, rows)


@program("write")
def replaced_with(rows: list[Row]) -> Steps[list[Line]]:
    yield from execute(CLEAR)
    yield from each(ADD, rows)
    return (yield from many(ALL))


@program("write")
def find(*names: str) -> Steps[list[Place]]:
    return (yield from many_each(FIND, [(name,) for name in names]))


@program("write")
def change(added: list[Row], raised: list[Row], dropped: list[Row]) -> Steps[list[int]]:
    alone = write(ADD, "alone", None, None)
    return (yield from together(write_each(ADD, added), write_each(RAISE, raised), alone, write_each(DROP, dropped)))


@program("read")
def everything() -> Steps[list[Line]]:
    return (yield from many(ALL))


@pytest.fixture
async def driver(kind: Kind, schema: PgSchema | None, tmp_path: Path) -> AsyncIterator[Driver]:
    made: Driver
    if schema is None:
        made = SqliteDriver(":memory:" if kind == "memory" else str(tmp_path / "a.db"), SystemClock())
    else:
        made = PostgresDriver(schema.url, schema.schema)
    if isinstance(made, SqliteDriver):
        await made.open()
    await made.run(make())
    yield made
    await made.close()


ROWS: list[Row] = [("a", 1, "one"), ("b", None, None), ("c", -3, ""), ("d", 2**63 - 1, "\x1d\x1e{a,b}\\N\"NULL'\n")]


@pytest.mark.parametrize("size", [0, 1, 2, 4])
async def test_rows_are_stored_as_they_are(driver: Driver, size: int) -> None:
    await driver.run(add(ROWS[:size]))

    assert await driver.run(everything()) == ROWS[:size]


@pytest.mark.parametrize("names", [(), ("b",), ("d", "nobody", "a", "b")])
async def test_rows_are_found_by_rows(driver: Driver, names: tuple[str, ...]) -> None:
    await driver.run(add(ROWS))

    found = await driver.run(find(*names))

    assert sorted(found) == [row[:2] for row in ROWS if row[0] in names]


@pytest.mark.parametrize("size", [0, 1, 3])
async def test_writes_of_many_rows_go_together_and_are_counted(driver: Driver, kind: Kind, size: int) -> None:
    await driver.run(add([(f"old{n}", n, None) for n in range(4)]))
    before = driver.counters.statements

    counts = await driver.run(
        change(
            [(f"new{n}", None, "x") for n in range(size)],
            [("nobody", 1), *((f"old{n}", 10) for n in range(size))],
            [(f"old{n}",) for n in range(3, 3 + size)],  # no row that another part changes
        )
    )

    assert counts == [size, size, 1, min(size, 1)]
    assert driver.counters.statements - before == (1 if kind == "postgres" else 4)
    left = {row[0]: row[1] for row in await driver.run(everything())}
    assert left == {
        "alone": None,
        **{f"new{n}": None for n in range(size)},
        **{f"old{n}": n + 10 * (n < size) for n in range(4) if size == 0 or n < 3},
    }


async def test_one_bad_row_keeps_all_of_them_out(driver: Driver) -> None:
    await driver.run(add(ROWS[:1]))

    with pytest.raises(UniqueViolation):
        await driver.run(change([("new", 1, None), ROWS[0]], [("a", 1), ("b", 1)], []))

    assert await driver.run(everything()) == ROWS[:1]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
VALUES = st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | TEXT | st.text("\x1d\x1e\x1f ", max_size=4)
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(VALUES, max_size=5))
async def test_any_rows_are_stored_as_they_are(driver: Driver, values: list[tuple[int | None, str | None]]) -> None:
    rows: list[Row] = [(f"r{number}", *row) for number, row in enumerate(values)]

    assert await driver.run(replaced_with(rows)) == rows


async def test_a_text_of_all_characters_below_the_surrogates_is_stored_as_it_is(driver: Driver) -> None:
    """Half of a surrogate pair would be the next mark, and cannot be sent."""
    rows: list[Row] = [("a", 1, "".join(map(chr, range(1, 0xD800)))), ("b", None, None)]

    assert await driver.run(replaced_with(rows)) == rows


def test_a_statement_over_rows_is_rendered_for_one_and_for_many() -> None:
    assert RAISE.sqlite == "UPDATE lines SET n = n + ?2 WHERE name = ?1"
    assert RAISE.postgres == "UPDATE lines SET n = n + CAST($2 AS BIGINT) WHERE name = CAST($1 AS TEXT)"
    assert RAISE.postgres_rows == (
        "UPDATE lines SET n = n + rows.r2 FROM"
        " unnest(string_to_array($1, $3, $4), string_to_array($2, $3, $4)::BIGINT[]) AS rows(r1, r2)"
        " WHERE name = rows.r1"
    )
    assert ADD.sqlite == "INSERT INTO lines (name, n, body) VALUES (?1, ?2, ?3)"
    assert FIND.statement.sqlite == "SELECT name, n FROM lines WHERE name = ?1 ORDER BY name"
    assert ALL.statement.postgres_rows is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT rows.a FROM {rows: a text, b int}",
        "SELECT rows.a, rows.b FROM {rows: a text}",
        "SELECT rows.a FROM {rows: a real}",
        "SELECT rows.a FROM {rows: a text, a int}",
        "SELECT rows.a, ?1 FROM {rows: a text}",
        "SELECT rows.a FROM {rows: a text}, {rows: a text}",
        "SELECT rows.a FROM t JOIN {rows: a text}",
    ],
)
def test_bad_rows_are_refused_at_import(sql: str) -> None:
    with pytest.raises(InvalidStatement):
        Statement(sql)


def test_many_rows_of_a_plain_statement_do_not_go_together() -> None:
    with pytest.raises(InvalidStatement, match="use `each`"):
        write_each(CLEAR, [])
