"""Where a program is and what it did: sites, static maps, observations, trace events."""
