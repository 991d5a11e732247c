-- Schema version 2: background processes.

-- Where the change numbers of this database start. On PostgreSQL a change number is `base` plus the id of
-- the transaction; a database that was restored into a younger server raises its base when it is opened.
CREATE TABLE lash_change_clock (
  singleton {int} NOT NULL PRIMARY KEY,
  base {int} NOT NULL
) {table};
INSERT INTO lash_change_clock (singleton, base) VALUES (1, 0);

-- Lists of event types by content: thousands of processes share one.
CREATE TABLE lash_process_event_types (
  hash {text} NOT NULL PRIMARY KEY,
  event_types_json {text} NOT NULL
) {table};

-- One row per process: what was registered, its projection, and who runs it. The lease is a part of the
-- row, so that a claim, a terminal event and a release are each one write. `due_at_ms` is when a worker
-- should look at it: at once, when its lease expires, when a pause ends, or never.
CREATE TABLE lash_processes (
  process_id {text} NOT NULL PRIMARY KEY,
  registration_hash {text} NOT NULL,
  registration_json {text} NOT NULL,
  event_types_hash {text} NOT NULL,
  recovery {text} NOT NULL,
  originator_id {text} NOT NULL,
  wake_session_id {text},
  wake_detached {int} NOT NULL DEFAULT 0,
  identity_kind {text} NOT NULL,
  identity_label {text},
  env_ref {text},
  module_ref {text},
  status {text} NOT NULL,
  await_output_json {text},
  authority_json {text},
  wait_json {text},
  external_ref_json {text},
  abandon_json {text},
  last_sequence {int} NOT NULL DEFAULT 0,
  first_started_at_ms {int},
  first_started_by {text},
  created_at_ms {int} NOT NULL,
  updated_at_ms {int} NOT NULL,
  terminal_at_ms {int},
  due_at_ms {int} NOT NULL,
  lease_owner {text} NOT NULL DEFAULT '',
  lease_token {text} NOT NULL DEFAULT '',
  lease_fence {int} NOT NULL DEFAULT 0,
  lease_claimed_at_ms {int} NOT NULL DEFAULT 0,
  lease_expires_at_ms {int} NOT NULL DEFAULT 0,
  change_seq {int} NOT NULL
) {table};
-- What workers take next; parked and leased rows lie behind `now` and cost nothing.
CREATE INDEX lash_processes_due ON lash_processes (due_at_ms, process_id) WHERE status = 'running';
-- What is live, in the order of ids.
CREATE INDEX lash_processes_live ON lash_processes (process_id) WHERE status = 'running';
-- The leases of one executor: freed at once when it is proven dead.
CREATE INDEX lash_processes_leased ON lash_processes (lease_owner, lease_token) WHERE lease_token <> '';
-- The change feed.
CREATE INDEX lash_processes_change ON lash_processes (change_seq, process_id);
-- Processes of one originator.
CREATE INDEX lash_processes_originator ON lash_processes (originator_id, process_id);
-- Deleting a session detaches the processes that wake it.
CREATE INDEX lash_processes_wake ON lash_processes (wake_session_id) WHERE wake_session_id IS NOT NULL;
-- Retention.
CREATE INDEX lash_processes_terminal ON lash_processes (terminal_at_ms, process_id) WHERE terminal_at_ms IS NOT NULL;

-- `has_wake` is 0 without a wake, 1 with one, 2 when it was acknowledged. `semantics_json` is left out for core
-- types: their meaning follows from the payload. An event without a replay key has one of its call.
CREATE TABLE lash_process_events (
  process_id {text} NOT NULL,
  sequence {int} NOT NULL,
  event_type {text} NOT NULL,
  type_ordinal {int} NOT NULL,
  payload_hash {text} NOT NULL,
  replay_key {text} NOT NULL,
  has_wake {int} NOT NULL,
  runtime_session_id {text} NOT NULL,
  payload_json {text} NOT NULL,
  semantics_json {text},
  occurred_at_ms {int} NOT NULL,
  PRIMARY KEY (process_id, sequence)
) {table};
-- Equal keys are the same event.
CREATE UNIQUE INDEX lash_process_events_replay ON lash_process_events (process_id, replay_key);
-- The n-th event of a type.
CREATE UNIQUE INDEX lash_process_events_ordinal ON lash_process_events (process_id, event_type, type_ordinal);

-- Wakes on their way. A row is settled in the transaction that enqueues the batch or gives it up.
CREATE TABLE lash_process_wake_outbox (
  process_id {text} NOT NULL,
  sequence {int} NOT NULL,
  target_session_id {text} NOT NULL,
  wake_id {text} NOT NULL,
  state {text} NOT NULL,
  discard_reason {text},
  batch_id {text},
  delivery_json {text} NOT NULL,
  expires_at_ms {int} NOT NULL,
  settled_at_ms {int},
  PRIMARY KEY (process_id, sequence)
) {table};
-- What is pending, by target: one transaction serves one session.
CREATE INDEX lash_process_wake_outbox_pending ON lash_process_wake_outbox (target_session_id, process_id, sequence)
  WHERE state = 'pending';

-- Who may see a process.
CREATE TABLE lash_process_grants (
  scope_id {text} NOT NULL,
  process_id {text} NOT NULL,
  session_id {text} NOT NULL,
  descriptor_json {text} NOT NULL,
  PRIMARY KEY (scope_id, process_id)
) {keyed};
CREATE INDEX lash_process_grants_process ON lash_process_grants (process_id);
CREATE INDEX lash_process_grants_session ON lash_process_grants (session_id);

-- Who is parked until a process ends: its end makes them due.
CREATE TABLE lash_process_parked_on (
  awaited_id {text} NOT NULL,
  process_id {text} NOT NULL,
  PRIMARY KEY (awaited_id, process_id)
) {keyed};
CREATE INDEX lash_process_parked_on_process ON lash_process_parked_on (process_id);

-- What is left of pruned processes: their ids are never used again.
CREATE TABLE lash_process_tombstones (
  process_id {text} NOT NULL PRIMARY KEY,
  status {text} NOT NULL,
  pruned_at_ms {int} NOT NULL,
  change_seq {int} NOT NULL
) {keyed};
CREATE INDEX lash_process_tombstones_change ON lash_process_tombstones (change_seq, process_id);
