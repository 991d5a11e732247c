"""The turn machine: pure, synchronous, without a clock. It speaks effects and responses."""
