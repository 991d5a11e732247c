"""Effect hosts: inline, recording, journaled."""
