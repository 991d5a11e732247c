"""Workers: what runs registered processes (docs/spec/durability.md §5).

The rows that are due are the work queue. A worker takes as many as it has slots, runs
each under its lease, and ends it in the transaction that takes the next ones. What
waits gives its slot back, and what waits long becomes a row again.

- `worker`: the claim loop; `turnover`: ends and claims, written together; `runs`: what is held;
  `slots`: how many run at once; `ahead`: what waits for one.
- `run`: one process at work; `runner`: the checks before it and the choice of what runs it.
- `tool_call`, `session_turn`: inputs that the runtime runs itself; `engines`: everything else.
- `environment`: what a process runs with, rebuilt from what it captured; `facets`: the durable guard.
"""
