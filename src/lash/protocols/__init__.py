"""Execution modes: how model output becomes work."""
