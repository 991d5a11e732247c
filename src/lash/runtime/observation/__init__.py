"""Watching a session: what it told, since when, and what stands now (docs/spec/runtime.md §10.2).

`events.py` is what observers get, `mirror.py` how they add it up, `cursor.py` where
they stood. `feed.py` is one session's log in one core, `replay.py` where it is kept,
`observer.py` one reader of it. `watch.py` looks at what other processes do.
"""
