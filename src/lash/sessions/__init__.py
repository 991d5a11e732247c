"""Sessions: graph, frames, checkpoint, queue, acceptance, commit, and the store port."""
