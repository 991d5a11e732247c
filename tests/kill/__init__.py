"""Kill anywhere: real processes, real databases, real SIGKILL."""
