"""Programs in lashlang as durable processes: stored, started, run, replayed."""
