"""Effects: scopes, envelopes, outcomes, the journal's decision, waits, and the host port."""
