"""The X rows of whole stores over every backend, and what the registry itself promises."""

from __future__ import annotations

import pytest

from conformance.backends import InMemory, OnPostgres, OnSqlite, OnStore, bundled
from lash.stores import Store
from lash.testing import conformance
from lash.testing.conformance.bundles import STORES
from lash.testing.conformance.laws import LawBroken, Rows, Suite


class _Bundle(OnStore):
    make = bundled()


class TestMemory(InMemory, _Bundle, STORES.mixin("M")):  # type: ignore[misc]  # made at run time
    pass


class TestSqlite(OnSqlite, _Bundle, STORES.mixin("S")):  # type: ignore[misc]  # made at run time
    pass


class TestPostgres(OnPostgres, _Bundle, STORES.mixin("P")):  # type: ignore[misc]  # made at run time
    pass


def test_every_row_of_the_store_suites_has_a_law() -> None:
    rows = set(conformance.RUNTIME_PERSISTENCE.ids()) | {"RP-20", "RP-21"}

    assert rows == {f"RP-{number:02}" for number in range(1, 79)}
    assert set(conformance.RUNTIME_PERSISTENCE_REOPENABLE.ids()) == {f"RPR-{number:02}" for number in range(1, 7)}
    attachment_rows = {*conformance.ATTACHMENT_STORE.ids(), *conformance.ATTACHMENT_STORE_REOPENABLE.ids()}
    assert attachment_rows == {f"AS-{number:02}" for number in range(1, 11)}


async def test_strangers_run_a_suite_with_one_call() -> None:
    stores: list[Store] = []

    async def make() -> object:
        stores.append(await Store.open(":memory:"))
        return stores[-1].sessions.unbound()

    await conformance.runtime_persistence(make, tier="inline")  # type: ignore[arg-type]  # as a stranger would

    for store in stores:
        await store.close()


async def test_a_broken_law_is_named_by_its_id() -> None:
    suite: Suite[object] = Suite("example")

    @suite.law("EX-01", "EX-02")
    async def something(_backend: object, row: Rows) -> None:
        row("EX-01", True)
        row("EX-02", False, "seen")

    with pytest.raises(LawBroken, match=r"EX-02 .*'seen'") as caught:
        await suite.run(object)

    assert caught.value.law_id == "EX-02"


async def test_a_law_that_raises_is_named_by_its_first_open_row() -> None:
    suite: Suite[object] = Suite("example")

    @suite.law("EX-01", "EX-02")
    async def something(_backend: object, row: Rows) -> None:
        row("EX-01", True)
        raise RuntimeError("boom")

    with pytest.raises(LawBroken, match=r"EX-02 .*RuntimeError: boom"):
        await suite.run(object)
