"""Laws: what every implementation of a port must do, each with the id of its catalogue row.

A law is a scenario over a fresh backend. Rows that the catalogue asserts over the
same data share one scenario, which states each row by its id:

```python
@suite.law("RP-22", "RP-23")
async def a_source_key_names_one_piece_of_work(store: SessionStore, row: Rows) -> None:
    ...
    row("RP-22", again.batch_id == first.batch_id)
    row("RP-23", again.items[0].item_id == first.items[0].item_id)
```

`Suite.run(make)` is for anybody; `Suite.mixin()` makes a class with one pytest test
per scenario, named after its rows. Neither imports pytest. The ids are those of docs/spec/conformance.md.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar, cast

from lash.base.errors import LashError
from lash.base.tier import DurabilityTier

B = TypeVar("B")
Make: TypeAlias = Callable[[], "B | Awaitable[B]"]

# The catalogue's Stores column: memory, SQLite file, PostgreSQL, files, wrapper, inline, recording, journaled.
Column: TypeAlias = Literal["M", "S", "P", "F", "W", "I", "R", "J"]


class LawBroken(LashError, AssertionError):
    """An implementation does not keep a law of its port; the id names the catalogue row."""

    code = "law_broken"

    def __init__(self, law_id: str, title: str, why: str) -> None:
        super().__init__(f"{law_id} ({title}): {why}")
        self.law_id = law_id


class Rows:
    """What a scenario states, row by row. `tier` is what the caller expects, if anything."""

    def __init__(self, tier: DurabilityTier | None) -> None:
        self.tier = tier
        self.stated: dict[str, list[str]] = {}

    def __call__(self, law_id: str, holds: bool, seen: object = None) -> None:
        """States that a row holds; `seen` is shown when it does not."""
        broken = self.stated.setdefault(law_id, [])
        if not holds:
            broken.append("does not hold" if seen is None else f"does not hold, got {seen!r}")

    def what_is_wrong_with(self, law_id: str) -> str | None:
        """Why a row does not hold; `None` when it does. A row that nobody stated does not."""
        if law_id not in self.stated:
            return "the scenario ended without stating it"
        return "; ".join(self.stated[law_id]) or None

    async def raises(self, law_id: str, expected: type[BaseException], attempt: Awaitable[object]) -> None:
        """States that awaiting `attempt` raises `expected`."""
        try:
            answer = await attempt
        except expected:
            self(law_id, True)
        else:
            self(law_id, False, answer)


Scenario: TypeAlias = Callable[[B, Rows], Awaitable[None]]


class Law(NamedTuple, Generic[B]):
    """One scenario and the rows it states."""

    ids: tuple[str, ...]
    title: str
    stores: str
    scenario: Scenario[B]


class Suite(Generic[B]):
    """The laws of one port."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.laws: list[Law[B]] = []

    def law(self, *ids: str, stores: str = "MSP") -> Callable[[Scenario[B]], Scenario[B]]:
        """Registers a scenario for rows; `stores` is the catalogue's column."""

        def register(scenario: Scenario[B]) -> Scenario[B]:
            name = cast("str", getattr(scenario, "__name__", "law"))
            self.laws.append(Law(ids, name, stores, scenario))
            return scenario

        return register

    def ids(self, column: Column | None = None) -> list[str]:
        """Every row of a column, in the order of the suite."""
        return [law_id for law in self._of(column) for law_id in law.ids]

    async def run(self, make: Make[B], *, column: Column | None = None, tier: DurabilityTier | None = None) -> None:
        """Runs every law over its own fresh backend; raises `LawBroken` at the first that does not hold."""
        for law in self._of(column):
            await self._check(law, make, tier)

    def mixin(self, column: Column | None = None, tier: DurabilityTier | None = None) -> type:
        """A class with one test per scenario. Its subclass, or the module, provides the fixture `make`.

        A test is named after all rows of its scenario, `test_rp_22_23_a_source_key_…`, and tells every one
        that does not hold.
        """
        tests: dict[str, Any] = {}
        for law in self._of(column):
            tests[_test_name(law)] = self._test(law, tier)
        return type(f"{self.name.title().replace('_', '')}Laws", (), tests)

    def _of(self, column: Column | None) -> list[Law[B]]:
        return [law for law in self.laws if column is None or column in law.stores]

    def _test(self, law: Law[B], tier: DurabilityTier | None) -> Callable[..., Awaitable[None]]:
        async def test(_self: object, make: Make[B]) -> None:
            await self._check(law, make, tier)

        test.__doc__ = f"{', '.join(law.ids)} of docs/spec/conformance.md."
        return test

    async def _check(self, law: Law[B], make: Make[B], tier: DurabilityTier | None) -> None:
        made = make()
        backend = cast("B", await made if inspect.isawaitable(made) else made)
        rows = Rows(tier)
        try:
            await law.scenario(backend, rows)
        except LawBroken:
            raise
        except Exception as error:
            unstated = [law_id for law_id in law.ids if law_id not in rows.stated]
            raise LawBroken((unstated or law.ids)[0], law.title, f"{type(error).__name__}: {error}") from error
        if broken := [(law_id, why) for law_id in law.ids if (why := rows.what_is_wrong_with(law_id))]:
            (law_id, why), *others = broken
            raise LawBroken(law_id, law.title, "; ".join([why, *(f"{other}: {text}" for other, text in others)]))


def _test_name(law: Law[B]) -> str:
    """`test_rp_22_23_title`: the prefix once as long as it is the same."""
    words, prefix = ["test"], ""
    for law_id in law.ids:
        suite, _, number = law_id.lower().partition("-")
        words += [number] if suite == prefix else [suite, number]
        prefix = suite
    return "_".join([*words, law.title])
