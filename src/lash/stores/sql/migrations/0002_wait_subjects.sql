-- What a wait is about, for those who list what waits: approvals, detached tool calls.
ALTER TABLE lash_await_events ADD COLUMN subject_json {text};
-- Lists of what waits, and nothing else, read by this.
CREATE INDEX lash_await_events_open ON lash_await_events (created_at_ms)
  WHERE terminal_json IS NULL AND subject_json IS NOT NULL;
