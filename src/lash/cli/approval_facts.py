"""Reading and answering approvals with nothing but the store: the turns are other processes' work."""

from __future__ import annotations

from typing import Final

import msgspec

import lash
from lash.base.canonical import canonical_json
from lash.base.json import JsonObject
from lash.cli.failure import NotFound
from lash.cli.stores import open_store, shown
from lash.effects import Accepted
from lash.hosts import JournaledEffectHost
from lash.runtime.approvals import Approval, Approvals

# Enough to tell the waits of one store apart, and short enough to type.
SHOWN_ID_CHARS: Final = 12


class PendingApproval(msgspec.Struct, frozen=True):
    """An approval without its key: what may be printed."""

    id: str
    tool: str
    args: JsonObject
    session_id: str
    turn_id: str
    call_id: str
    asked_at_ms: int
    deadline_ms: int | None
    process_id: str | None

    @property
    def place(self) -> str:
        """Where the call was made."""
        return self.session_id if self.process_id is None else f"process {self.process_id}"

    @property
    def args_text(self) -> str:
        """The arguments as JSON."""
        return canonical_json(self.args)


async def list_pending(where: str, session_id: str | None) -> list[PendingApproval]:
    """What waits in a store."""
    async with await open_store(where, read_only=False) as store:
        return [_printable(approval) for approval in await _approvals(store).pending(session_id)]


async def answer(where: str, approval_id: str, denial: str | None) -> str:
    """Approves, or denies with a reason; says what came of it. Raises `NotFound`."""
    async with await open_store(where, read_only=False) as store:
        approvals = _approvals(store)
        found = [one for one in await approvals.pending() if one.id.startswith(approval_id)]
        if len(found) != 1 or not approval_id:
            many = f"{len(found)} approvals begin with" if found and approval_id else "nothing waits under"
            raise NotFound(f"{many} {approval_id!r} in {shown(where)}; `lash approvals ls` lists what waits")
        [approval] = found
        outcome = await (approvals.approve(approval) if denial is None else approvals.deny(approval, denial))
        if not isinstance(outcome, Accepted):
            raise NotFound(f"approval {approval_id!r} was answered by somebody else meanwhile")
        where_from = f"session {approval.session_id}" if approval.process_id is None else _printable(approval).place
        return f"{approval.tool} in {where_from} is {'approved' if denial is None else 'denied'}"


def _approvals(store: lash.Store) -> Approvals:
    return Approvals(JournaledEffectHost(store.journal, store.waits))


def _printable(approval: Approval) -> PendingApproval:
    return PendingApproval(
        approval.id,
        approval.tool,
        approval.args,
        approval.session_id,
        approval.turn_id,
        approval.call_id,
        approval.asked_at_ms,
        approval.deadline_ms,
        approval.process_id,
    )
