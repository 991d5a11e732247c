"""Background processes: what they are, and every rule about them that needs no IO.

A process is registered as a row that captures by reference everything it needs; the
rows that are not terminal are the work queue. Its history is a gap-free sequence of
events, and its status is a projection of the single terminal one
(docs/spec/durability.md §4).

- `scopes`, `inputs`, `registration`: who starts what, and under which identity.
- `selectors`, `event_types`, `events`, `appending`: what may happen, and what an append decides.
- `outputs`, `status`, `record`: how it ends, and how it stands.
- `leases`, `authority`: who runs it, and who may end it.
- `handles`, `listing`, `definitions`: what sessions see.
- `waking`: how a wake becomes queued work of a session.
- `registry`: the port; `watching`: how to wait for events of many processes with one reader.
"""
