"""Triggers: what happens in the world, or on the clock, and the processes it starts.

Read `subscription.py`, `occurrence.py` and `delivery.py` for the rules, `schedules.py` for
the clock, `store.py` for the port. docs/spec/durability.md §6 is the source.
"""
