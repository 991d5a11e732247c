-- Schema version 5: what running turns tell, for observers in other processes. Nothing durable: it is kept
-- for minutes, a crash of the server may empty it, and no turn ever waits for it.
CREATE {unlogged} TABLE lash_live_replay (
  seq {identity},
  session_id {text} NOT NULL,
  turn_id {text} NOT NULL,
  drive_id {text} NOT NULL,
  first_number {int} NOT NULL,
  activities_json {text} NOT NULL,
  told_at_ms {int} NOT NULL
) {table};
-- A reader asks for what follows in one session.
CREATE INDEX lash_live_replay_session ON lash_live_replay (session_id, seq);
-- Old rows are swept.
CREATE INDEX lash_live_replay_age ON lash_live_replay (told_at_ms);
