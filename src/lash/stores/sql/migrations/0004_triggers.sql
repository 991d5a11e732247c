-- Schema version 3: what happens in the world and on the clock, and what it starts.

-- `seq` is in the handle; `registration_key` is the maker's, or minted for one registration.
-- `draft_json` is what was registered; every other column is there to be searched by.
CREATE TABLE lash_trigger_subscriptions (
  seq {identity},
  registrant_scope_id {text} NOT NULL,
  registrant_session_id {text},
  registration_key {text} NOT NULL,
  name {text},
  source_type {text} NOT NULL,
  source_key {text} NOT NULL,
  enabled {int} NOT NULL,
  revision {int} NOT NULL,
  draft_hash {text} NOT NULL,
  draft_json {text} NOT NULL,
  created_at_ms {int} NOT NULL,
  updated_at_ms {int} NOT NULL
) {table};
-- Registering again changes, never adds. Lists of a registrant read it too.
CREATE UNIQUE INDEX lash_trigger_subscriptions_key
  ON lash_trigger_subscriptions (registrant_scope_id, registration_key);
-- Who is subscribed to what happened.
CREATE INDEX lash_trigger_subscriptions_source ON lash_trigger_subscriptions (source_type, source_key);
-- Deletion of a session takes its subscriptions along.
CREATE INDEX lash_trigger_subscriptions_session ON lash_trigger_subscriptions (registrant_session_id)
  WHERE registrant_session_id IS NOT NULL;

-- `reserved_at_ms` closes an occurrence: who was subscribed is decided once. `reserve_token` is that of
-- the call that decided it, so that a repeat whose acknowledgement was lost finds its own answer.
CREATE TABLE lash_trigger_occurrences (
  seq {identity},
  occurrence_id {text} NOT NULL,
  source_type {text} NOT NULL,
  source_key {text} NOT NULL,
  idempotency_key {text} NOT NULL,
  request_hash {text} NOT NULL,
  payload_json {text} NOT NULL,
  source_json {text} NOT NULL,
  occurred_at_ms {int} NOT NULL,
  reserved_at_ms {int},
  reserve_token {text}
) {table};
-- The id is the hash of source type, source key and idempotency key.
CREATE UNIQUE INDEX lash_trigger_occurrences_id ON lash_trigger_occurrences (occurrence_id);
-- Pruning by age.
CREATE INDEX lash_trigger_occurrences_age ON lash_trigger_occurrences (occurred_at_ms);

-- `subscription_json` is the subscription as it was when the occurrence was closed.
CREATE TABLE lash_trigger_deliveries (
  seq {identity},
  occurrence_id {text} NOT NULL,
  subscription_id {text} NOT NULL,
  process_id {text} NOT NULL,
  state {text} NOT NULL,
  attempts {int} NOT NULL DEFAULT 0,
  last_error {text},
  next_attempt_at_ms {int},
  subscription_json {text} NOT NULL,
  created_at_ms {int} NOT NULL,
  started_at_ms {int}
) {table};
-- One delivery per occurrence and subscription.
CREATE UNIQUE INDEX lash_trigger_deliveries_key ON lash_trigger_deliveries (occurrence_id, subscription_id);
-- From a process to what caused it.
CREATE INDEX lash_trigger_deliveries_process ON lash_trigger_deliveries (process_id);
-- What stands before a delivery of the same subscription.
CREATE INDEX lash_trigger_deliveries_order ON lash_trigger_deliveries (subscription_id, seq);
-- The sweep, and when it has something to do next. Settled deliveries are not in it.
CREATE INDEX lash_trigger_deliveries_open ON lash_trigger_deliveries (next_attempt_at_ms)
  WHERE next_attempt_at_ms IS NOT NULL;

CREATE TABLE lash_schedules (
  schedule_id {text} NOT NULL PRIMARY KEY,
  registrant_scope_id {text} NOT NULL,
  registrant_session_id {text},
  enabled {int} NOT NULL,
  revision {int} NOT NULL,
  draft_hash {text} NOT NULL,
  draft_json {text} NOT NULL,
  next_due_ms {int},
  last_due_ms {int},
  created_at_ms {int} NOT NULL,
  updated_at_ms {int} NOT NULL
) {table};
-- What is due, and when the clock has to look again: idle schedules are never read.
CREATE INDEX lash_schedules_due ON lash_schedules (next_due_ms) WHERE next_due_ms IS NOT NULL;
-- Deletion of a session takes its schedules along.
CREATE INDEX lash_schedules_session ON lash_schedules (registrant_session_id)
  WHERE registrant_session_id IS NOT NULL;
