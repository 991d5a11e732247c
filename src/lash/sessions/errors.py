"""Errors of session stores (docs/spec/durability.md §3.1).

```
StoreError
├── SessionBindingMismatch, AmbiguousSession, UnsupportedReadScope     the caller asked the wrong handle
├── HeadRevisionConflict, TurnCommitConflict, QueuedWorkClaimExpired   another writer was first
├── SessionDeleted, SessionExists, CommitBudgetExceeded,
│   TurnInputConflict                                                  a rule forbids it
├── ValueTooLarge                                                      the database cannot hold it
├── UnknownSession, UnknownNode, UnsafeBranchPoint                     nothing can go on from there
├── InvalidGraphDelta                                                  the commit does not fit what is stored
├── MissingCheckpointComponent, StoredDataCorrupt                      what is stored is damaged
├── UnsupportedRecordSchemaVersion, UnsupportedSchemaVersion           written by another release
└── StoreUnavailable                                                   disk, lock or connection trouble: try again
```
"""

from __future__ import annotations

from lash.base.errors import LashError


class StoreError(LashError):
    """Base of what a store can report. A method that raises has changed nothing."""

    code = "store_error"


class SessionBindingMismatch(StoreError):
    """A store handle serves one session and was asked for another."""

    code = "session_binding_mismatch"

    def __init__(self, bound: str, attempted: str) -> None:
        super().__init__(f"store is already bound to session `{bound}` and cannot be reused for `{attempted}`")
        self.bound = bound
        self.attempted = attempted


class AmbiguousSession(StoreError):
    """An unbound handle was read while several sessions are stored."""

    code = "ambiguous_session"

    def __init__(self, count: int) -> None:
        super().__init__(f"the store holds {count} sessions; open one by its id")


class UnsupportedReadScope(StoreError):
    """The store cannot read that part of a graph."""

    code = "unsupported_read_scope"


class HeadRevisionConflict(StoreError):
    """The head moved since it was read. Reload and plan again."""

    code = "head_revision_conflict"

    def __init__(self, expected: int | None, actual: int) -> None:
        super().__init__(f"store head revision conflict: expected {expected or 0}, actual {actual}")
        self.expected = expected
        self.actual = actual


class TurnCommitConflict(StoreError):
    """The turn id is taken by a commit with other content."""

    code = "turn_commit_conflict"

    def __init__(self, session_id: str, turn_id: str) -> None:
        super().__init__(
            f"runtime turn `{turn_id}` for session `{session_id}` was already committed with a different commit hash"
        )
        self.session_id = session_id
        self.turn_id = turn_id


class TurnInputConflict(StoreError):
    """The turn id was used before with another input; give a new turn its own id."""

    code = "turn_input_conflict"

    def __init__(self, session_id: str, turn_id: str) -> None:
        super().__init__(
            f"turn `{turn_id}` of session `{session_id}` was accepted with another input; "
            "use a new turn_id for a new input"
        )
        self.session_id = session_id
        self.turn_id = turn_id


class QueuedInputTaken(StoreError):
    """The queued input cannot be changed any more: a turn has it, or it was settled or cancelled."""

    code = "queued_input_taken"

    def __init__(self, session_id: str, batch_id: str) -> None:
        super().__init__(
            f"queued input `{batch_id}` of session `{session_id}` waits no more; queue the change as new input"
        )
        self.session_id = session_id
        self.batch_id = batch_id


class QueuedWorkClaimExpired(StoreError):
    """A claim on queued work is no longer held; another owner has or may take the work."""

    code = "queued_work_claim_expired"

    def __init__(self, session_id: str, claim_id: str) -> None:
        super().__init__(f"queued work claim `{claim_id}` for session `{session_id}` is missing or expired")
        self.session_id = session_id
        self.claim_id = claim_id


class SessionDeleted(StoreError):
    """Session ids are used once; this one was deleted."""

    code = "session_deleted"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"session `{session_id}` was deleted; session ids are used once, choose a new one")
        self.session_id = session_id


class SessionExists(StoreError):
    """A session of that id is there already and is something else."""

    code = "session_exists"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"session `{session_id}` exists already; choose another id")
        self.session_id = session_id


class UnknownSession(StoreError):
    """No session of that id is stored."""

    code = "unknown_session"

    def __init__(self, session_id: str) -> None:
        super().__init__(f"no session `{session_id}` is stored; `core.sessions()` lists what is")
        self.session_id = session_id


class UnknownNode(StoreError):
    """A node is not in the session's graph."""

    code = "unknown_node"

    def __init__(self, session_id: str, node_id: str) -> None:
        super().__init__(
            f"session `{session_id}` has no node `{node_id}`; a message's id is its node's id, see `session.messages`"
        )
        self.session_id = session_id
        self.node_id = node_id


class UnsafeBranchPoint(StoreError):
    """No conversation can go on from there: tool calls would stay without their results."""

    code = "unsafe_branch_point"

    def __init__(self, session_id: str, node_id: str, call_ids: list[str]) -> None:
        super().__init__(
            f"session `{session_id}` cannot go on from node `{node_id}`: the tool calls "
            f"{', '.join(call_ids)} have no result there; choose a node before the calls or after their results"
        )
        self.session_id = session_id
        self.node_id = node_id
        self.call_ids = call_ids


class CommitBudgetExceeded(StoreError):
    """A commit is larger than the host allows; nothing was written."""

    code = "commit_budget_exceeded"

    def __init__(self, dimension: str, actual: int, limit: int) -> None:
        super().__init__(f"commit has {actual} {dimension}, above the budget of {limit}; raise commit_budget")
        self.dimension = dimension
        self.actual = actual
        self.limit = limit


class ValueTooLarge(StoreError):
    """A value is beyond what the database can hold. Nothing was written, and trying again is no use.

    `size_bytes` is that of the largest row of the write.
    """

    code = "value_too_large"

    def __init__(self, where: str, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"{where}: a row of {size_bytes} bytes is above the database's limit of {limit_bytes} bytes; "
            "make it smaller, or pass it as attachments or files and store only where they are"
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class InvalidGraphDelta(StoreError):
    """A commit's nodes do not fit the stored graph: an id is taken, a parent or the leaf is unknown."""

    code = "invalid_graph_delta"

    def __init__(self, session_id: str, what: str) -> None:
        super().__init__(f"graph of session `{session_id}`: {what}; nodes are create-only, reload and append anew")
        self.session_id = session_id


class MissingCheckpointComponent(StoreError):
    """A checkpoint says "unchanged" about a component that is not stored."""

    code = "missing_checkpoint_component"

    def __init__(self, key: str, ref: str) -> None:
        super().__init__(f"checkpoint component `{key}` refers to `{ref}`, which is not stored; write its body again")
        self.key = key
        self.ref = ref


class StoredDataCorrupt(StoreError):
    """A stored row cannot be read back. It is reported, never skipped."""

    code = "stored_data_corrupt"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; restore the database from a backup or delete what is damaged")


class UnsupportedRecordSchemaVersion(StoreError):
    """A record was written in a shape that this release does not know."""

    code = "unsupported_record_schema_version"

    def __init__(self, kind: str, actual: int, expected: int) -> None:
        super().__init__(f"{kind} schema_version {actual} is not supported by this binary (expected {expected})")
        self.kind = kind
        self.actual = actual
        self.expected = expected


class UnsupportedSchemaVersion(StoreError):
    """The database was made by another release of lash."""

    code = "unsupported_schema_version"

    def __init__(self, where: str, actual: int, expected: int) -> None:
        remedy = "run `lash store migrate`" if actual < expected else "upgrade lash"
        super().__init__(f"{where} has schema version {actual}, this release needs {expected}; {remedy}")
        self.actual = actual
        self.expected = expected


class StoreUnavailable(StoreError):
    """The disk, a lock or the connection failed. Nothing was written; trying again is safe."""

    code = "store_unavailable"
    is_interruption = True
