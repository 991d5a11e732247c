"""Linked modules by content: identity, artifacts, stores, caches, the compile facade."""
