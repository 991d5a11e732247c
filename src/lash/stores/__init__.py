"""Stores: SQL programs without IO, the drivers that run them, and the facets made of them."""

from lash.stores.store import Store

__all__ = ["Store"]
