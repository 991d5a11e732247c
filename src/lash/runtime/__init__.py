"""The runtime: accepts, drives, settles and recovers turns. The async shell around the machine."""
