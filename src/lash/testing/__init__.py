"""Testing: what ships for tests of agents, stores and hosts."""
