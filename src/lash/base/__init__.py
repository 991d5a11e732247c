"""What everything else stands on: canonical JSON, time, ids, errors, messages, usage."""
