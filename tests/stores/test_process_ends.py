"""Many processes end in one transaction, which claims the next ones."""

from __future__ import annotations

import asyncio

import asyncpg
import msgspec

from lash.processes.event_types import end_wake
from lash.processes.handles import ProcessStartGrant
from lash.processes.outputs import FailureOutput, SuccessOutput
from lash.processes.registration import ProcessRegistration
from lash.processes.registry import ClaimedProcess, ProcessEnd
from lash.processes.scopes import SessionScope
from lash.sessions.store import SessionCreate
from lash.stores import Store
from lash.testing.conformance.process_drafts import DESCRIPTOR, LONG_MS, job
from services.shared import PgSchema


async def claimed_of(store: Store, *registrations: ProcessRegistration) -> dict[str, ClaimedProcess]:
    """Registers processes and claims them."""
    await store.processes.register_processes(list(registrations))
    claimed = await store.processes.claim_due_processes("worker", LONG_MS, len(registrations))
    return {found.record.id: found for found in claimed}


def end(found: ClaimedProcess, value: int = 1) -> ProcessEnd:
    """A good end."""
    return ProcessEnd(found.lease, SuccessOutput(value), found.record)


def waking(process_id: str) -> ProcessRegistration:
    """A job whose end wakes a session."""
    return msgspec.structs.replace(job(process_id, end_wake("report")), wake_target=SessionScope("s"))


async def status_of(store: Store, process_id: str) -> str:
    """How a process stands."""
    record = await store.processes.get_process(process_id)
    assert record is not None
    return record.status.state


async def until_it_waits(other: asyncpg.Connection, holder: asyncpg.Connection) -> None:
    """Returns when somebody waits for a lock that `holder` has."""
    while not await other.fetchval(  # noqa: ASYNC110 - the server tells nobody
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND $1 = ANY (pg_blocking_pids(pid))",
        holder.get_server_pid(),
    ):
        await asyncio.sleep(0.005)


async def test_a_lost_lease_among_good_ones_is_named_and_the_others_end(store: Store) -> None:
    found = await claimed_of(store, job("a"), job("b"), job("c"), job("d"))
    lapsed = await store.processes.claim_process_lease("b", "worker", 0)
    await store.processes.claim_process_lease("b", "rival", LONG_MS)
    done = await store.processes.turn_over([end(found["d"])], "worker", "t1", LONG_MS, 0)

    ends = [end(found["c"]), ProcessEnd(lapsed, SuccessOutput(1)), end(found["d"]), end(found["a"])]
    turned = await store.processes.turn_over(ends, "worker", "t2", LONG_MS, 0)

    assert (done.lost, turned.lost) == ([], ["b"])
    assert [await status_of(store, name) for name in "abcd"] == ["completed", "running", "completed", "completed"]
    assert [event.event_type for event in await store.processes.events_after("d", 0)] == ["process.completed"]
    assert await store.processes.list_lease_owners() == ["rival"]


async def test_when_all_leases_are_lost_nothing_is_written(store: Store) -> None:
    found = await claimed_of(store, job("a"), job("b"))
    await store.processes.free_leases_of("worker")

    turned = await store.processes.turn_over([end(found["a"]), end(found["b"])], "worker", "t", LONG_MS, 0)

    assert sorted(turned.lost) == ["a", "b"]
    assert await store.processes.events_after("a", 0) == []


async def test_ends_that_wake_a_session_are_written_among_those_that_do_not(store: Store) -> None:
    await store.sessions.create_store(SessionCreate("s"))
    found = await claimed_of(store, *(waking(f"w{n}") for n in range(3)), job("a"), job("z"))

    turned = await store.processes.turn_over([end(one) for one in found.values()], "worker", "t", LONG_MS, 0)
    drained = await store.processes.deliver_pending_wakes()

    assert (turned.lost, drained.enqueued, drained.session_ids) == ([], 3, ["s"])
    assert [len(await store.processes.wake_events_after(name, 0)) for name in ("a", "w0", "w2")] == [0, 1, 1]
    assert not (await store.check()).corrupt_rows


async def test_those_who_wait_for_several_ends_are_due_once(store: Store) -> None:
    found = await claimed_of(store, *(job(name) for name in ("a", "b", "c", "both", "one", "other")))
    for name, awaited in (("both", ["a", "b"]), ("one", ["b"]), ("other", ["c"])):
        assert await store.processes.park_process(found[name].lease, seen_sequence=0, awaited=awaited)

    turned = await store.processes.turn_over([end(found["a"]), end(found["b"])], "worker", "t", LONG_MS, 9)

    assert sorted(claimed.record.id for claimed in turned.claimed) == ["both", "one"]
    assert {claimed.lease.fencing_token for claimed in turned.claimed} == {2}


async def test_those_who_wait_no_more_are_left_alone(store: Store) -> None:
    """What a process was parked on stays noted until it parks again: by then it may run, or have ended."""
    found = await claimed_of(store, *(job(name) for name in ("a", "b", "runs", "ended")))
    for name in ("runs", "ended"):
        assert await store.processes.park_process(found[name].lease, seen_sequence=0, awaited=["a"])
    runs = await store.processes.claim_process_lease("runs", "rival", LONG_MS)
    ended = await store.processes.claim_process_lease("ended", "rival", LONG_MS)
    await store.processes.complete_process_with_lease(ended, SuccessOutput(1))

    turned = await store.processes.turn_over([end(found["a"]), end(found["b"])], "worker", "t", LONG_MS, 9)

    assert turned.claimed == []
    assert await store.processes.get_process_lease("runs") == runs
    assert await status_of(store, "ended") == "completed"


async def test_one_that_ends_with_what_it_waited_for_ends_once(store: Store) -> None:
    found = await claimed_of(store, job("a"), job("b"))
    assert await store.processes.park_process(found["b"].lease, seen_sequence=0, awaited=["a"])
    again = await store.processes.claim_process_lease("b", "worker", LONG_MS)

    ends = [end(found["a"]), ProcessEnd(again, FailureOutput("execution", "gave_up", "no more"))]
    turned = await store.processes.turn_over(ends, "worker", "t", LONG_MS, 9)

    assert (turned.lost, turned.claimed) == ([], [])
    assert [await status_of(store, name) for name in "ab"] == ["completed", "failed"]


async def test_claiming_again_with_a_token_takes_the_same_and_no_more(store: Store) -> None:
    await store.processes.register_processes([job(name) for name in "abcde"])
    first = await store.processes.turn_over([], "worker", "t", LONG_MS, 3)
    before = store.statements

    again = await store.processes.turn_over([], "worker", "t", LONG_MS, 3)
    statements = store.statements - before
    taken = await store.processes.claim_process_lease("b", "rival", LONG_MS, proven_dead_owner="worker")
    third = await store.processes.turn_over([], "worker", "t", LONG_MS, 3)
    other = await store.processes.turn_over([], "worker", "t2", LONG_MS, 9)

    ids = [[claimed.record.id for claimed in turned.claimed] for turned in (first, again, third, other)]
    assert (ids, statements) == ([["a", "b", "c"], ["a", "b", "c"], ["a", "c"], ["d", "e"]], 1)
    fences = [claimed.lease.fencing_token for claimed in (*first.claimed, *again.claimed, *third.claimed)]
    assert (fences, taken.fencing_token) == ([1] * 8, 2)


async def test_nothing_due_is_one_statement(store: Store) -> None:
    before = store.statements

    assert await store.processes.claim_due_processes("worker", LONG_MS, 3) == []
    assert store.statements - before == 1


async def test_rows_are_locked_in_the_order_of_their_ids(pg_store_schema: PgSchema) -> None:
    """Two workers that end the same processes in different orders then never wait for each other."""
    url, schema = pg_store_schema
    holder, other = [await asyncpg.connect(url, server_settings={"search_path": schema}) for _ in range(2)]
    async with await Store.open(url, schema=schema) as store:
        found = await claimed_of(store, job("a"), job("b"), job("c"))
        await holder.execute("BEGIN; SELECT 1 FROM lash_processes WHERE process_id = 'b' FOR UPDATE")
        ends = [end(found[name]) for name in "cba"]
        turning = asyncio.create_task(store.processes.turn_over(ends, "worker", "t", LONG_MS, 0))
        await until_it_waits(other, holder)

        free = await other.fetch("SELECT process_id FROM lash_processes ORDER BY process_id FOR UPDATE SKIP LOCKED")
        await holder.execute("COMMIT")
        turned = await turning

        assert [row["process_id"] for row in free] == ["c"]
        assert turned.lost == []
    await holder.close()
    await other.close()


async def test_a_session_that_is_deleted_locks_in_the_order_of_ids_too(pg_store_schema: PgSchema) -> None:
    """They lie in another order, which is that of their registration."""
    url, schema = pg_store_schema
    holder, other = [await asyncpg.connect(url, server_settings={"search_path": schema}) for _ in range(2)]
    async with await Store.open(url, schema=schema) as store:
        await store.processes.register_process(waking("c"), ProcessStartGrant(SessionScope("s"), DESCRIPTOR))
        for name in "ba":
            await store.processes.register_process(waking(name))
        await holder.execute("BEGIN; SELECT 1 FROM lash_processes WHERE process_id = 'b' FOR UPDATE")
        deleting = asyncio.create_task(store.processes.delete_session_process_state("s"))
        await until_it_waits(other, holder)

        free = await other.fetch("SELECT process_id FROM lash_processes ORDER BY process_id FOR UPDATE SKIP LOCKED")
        await holder.execute("COMMIT")
        report = await deleting

        assert [row["process_id"] for row in free] == ["c"]
        assert (report.revoked_handle_count, report.orphaned_process_ids) == (1, ["c"])
    await holder.close()
    await other.close()


async def test_what_somebody_changes_at_that_moment_is_claimed_again_and_woken_all_the_same(
    pg_store_schema: PgSchema,
) -> None:
    """The statement waits for the row and goes on with its newest version."""
    url, schema = pg_store_schema
    holder, other = [await asyncpg.connect(url, server_settings={"search_path": schema}) for _ in range(2)]
    names = [f"p{number:02}" for number in range(30)]
    touch = "BEGIN; UPDATE lash_processes SET change_seq = change_seq WHERE process_id IN ('p11', 'p12', 'p25')"
    async with await Store.open(url, schema=schema) as store:
        [first] = (await claimed_of(store, job("first"))).values()
        await store.processes.register_processes([job(name) for name in names])
        turned = await store.processes.turn_over([], "worker", "t", LONG_MS, len(names))

        await holder.execute(touch)
        turning = asyncio.create_task(store.processes.turn_over([], "worker", "t", LONG_MS, len(names)))
        await until_it_waits(other, holder)
        await holder.execute("COMMIT")
        again = await turning
        for found in turned.claimed:
            assert await store.processes.park_process(found.lease, seen_sequence=0, awaited=["first"])
        await holder.execute(touch)
        ending = asyncio.create_task(store.processes.turn_over([end(first)], "worker", "t2", LONG_MS, 0))
        await until_it_waits(other, holder)
        await holder.execute("COMMIT")
        await ending
        woken = await store.processes.claim_due_processes("worker", LONG_MS, len(names))

        assert [claimed.record.id for claimed in again.claimed] == names
        assert sorted(claimed.record.id for claimed in woken) == names
    await holder.close()
    await other.close()
