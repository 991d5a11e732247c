-- Schema version 1: everything a durable turn needs.

-- Content-addressed bytes: checkpoint components, frame snapshots, large values of the journal.
CREATE TABLE lash_blobs (
  hash {text} NOT NULL PRIMARY KEY,
  content {blob} NOT NULL,
  byte_len {int} NOT NULL,
  created_at_ms {int} NOT NULL
) {table};

-- The head of a session. `manifest_json` maps component keys to blobs, so an unchanged one costs nothing.
-- `commit_token` is that of the last commit: a repeat whose acknowledgement was lost finds itself.
CREATE TABLE lash_sessions (
  session_id {text} NOT NULL PRIMARY KEY,
  head_revision {int} NOT NULL,
  head_json {text} NOT NULL,
  manifest_json {text} NOT NULL,
  leaf_node_id {text},
  checkpoint_ref {text} NOT NULL,
  turn_index {int} NOT NULL,
  commit_token {text} NOT NULL,
  updated_at_ms {int} NOT NULL
) {table};

-- Session ids are used once.
CREATE TABLE lash_deleted_sessions (
  session_id {text} NOT NULL PRIMARY KEY,
  deleted_at_ms {int} NOT NULL
) {keyed};

CREATE TABLE lash_session_meta (
  session_id {text} NOT NULL PRIMARY KEY,
  session_name {text} NOT NULL,
  created_at {text} NOT NULL,
  model {text} NOT NULL,
  cwd {text},
  relation_json {text} NOT NULL
) {table};

-- `seq` is the insertion order.
CREATE TABLE lash_graph_nodes (
  seq {serial},
  session_id {text} NOT NULL,
  node_id {text} NOT NULL,
  parent_node_id {text},
  node_json {text} NOT NULL,
  tombstoned {int} NOT NULL DEFAULT 0
) {table};
-- Nodes are create-only, and a path is walked by id. There is no index by order: it would cost every
-- commit a page, and only the rare read of a whole graph would use it.
CREATE UNIQUE INDEX lash_graph_nodes_id ON lash_graph_nodes (session_id, node_id);

-- (head_revision, ordinal) is the order of first sight. A delta without an id gets one of its place.
CREATE TABLE lash_usage_deltas (
  session_id {text} NOT NULL,
  delta_id {text} NOT NULL,
  head_revision {int} NOT NULL,
  ordinal {int} NOT NULL,
  source {text} NOT NULL,
  model {text} NOT NULL,
  input_tokens {int} NOT NULL,
  output_tokens {int} NOT NULL,
  cached_input_tokens {int} NOT NULL,
  reasoning_tokens {int} NOT NULL,
  PRIMARY KEY (session_id, delta_id)
) {keyed};

-- One stamp per settled turn. (head_revision, fence) is the order of settlement.
CREATE TABLE lash_turn_commits (
  session_id {text} NOT NULL,
  turn_id {text} NOT NULL,
  turn_commit_hash {text} NOT NULL,
  result_json {text},
  summary_json {text},
  head_revision {int} NOT NULL,
  fence {int} NOT NULL,
  committed_at_ms {int} NOT NULL,
  PRIMARY KEY (session_id, turn_id)
) {keyed};

-- Who drives a session. The row stays after release, so that `fence` only rises. While `turn_json`
-- is set that turn owns the session, whoever holds the lease.
CREATE TABLE lash_session_leases (
  session_id {text} NOT NULL PRIMARY KEY,
  owner {text} NOT NULL,
  lease_token {text} NOT NULL,
  fence {int} NOT NULL,
  claimed_at_ms {int} NOT NULL,
  expires_at_ms {int} NOT NULL,
  turn_id {text},
  turn_json {text},
  cancel_requested_at_ms {int}
) {keyed};

CREATE TABLE lash_queued_batches (
  enqueue_seq {identity},
  batch_id {text} NOT NULL,
  session_id {text} NOT NULL,
  source_key {text},
  coalesce_key {text},
  delivery_policy {text} NOT NULL,
  slot_policy {text} NOT NULL,
  merge_key_json {text} NOT NULL,
  available_at_ms {int} NOT NULL,
  enqueued_at_ms {int} NOT NULL,
  payloads_json {text} NOT NULL,
  payload_hash {text} NOT NULL,
  claim_id {text},
  claim_owner {text},
  claim_token {text},
  claim_fencing_token {int} NOT NULL DEFAULT 0,
  claim_generation {int},
  claim_claimed_at_ms {int} NOT NULL DEFAULT 0,
  claim_expires_at_ms {int} NOT NULL DEFAULT 0
) {table};
-- Batches are claimed, settled and cancelled by id.
CREATE UNIQUE INDEX lash_queued_batches_id ON lash_queued_batches (batch_id);
-- Equal source keys of one session are the same work.
CREATE UNIQUE INDEX lash_queued_batches_source ON lash_queued_batches (session_id, source_key)
  WHERE source_key IS NOT NULL;
-- The queue of a session in order.
CREATE INDEX lash_queued_batches_order ON lash_queued_batches (session_id, enqueue_seq);

-- What remains of settled and cancelled work: enough to recognise it.
CREATE TABLE lash_queued_receipts (
  session_id {text} NOT NULL,
  source_key {text} NOT NULL,
  batch_id {text} NOT NULL,
  enqueue_seq {int} NOT NULL,
  payload_hash {text} NOT NULL,
  outcome {text} NOT NULL,
  enqueued_at_ms {int} NOT NULL,
  settled_at_ms {int} NOT NULL,
  PRIMARY KEY (session_id, source_key)
) {keyed};

-- Two sessions may hold the same bytes: the key is both.
CREATE TABLE lash_attachment_manifest (
  session_id {text} NOT NULL,
  attachment_id {text} NOT NULL,
  canonical_uri {text} NOT NULL,
  intent_at_ms {int} NOT NULL,
  committed_at_ms {int},
  PRIMARY KEY (session_id, attachment_id)
) {keyed};
-- The orphan sweep.
CREATE INDEX lash_attachment_manifest_uncommitted ON lash_attachment_manifest (intent_at_ms)
  WHERE committed_at_ms IS NULL;
-- Whether any session still refers to some bytes.
CREATE INDEX lash_attachment_manifest_attachment ON lash_attachment_manifest (attachment_id);

-- Bytes that a sweep is deleting: whoever announces the same bytes waits until it is done.
CREATE TABLE lash_attachment_condemnations (
  attachment_id {text} NOT NULL PRIMARY KEY,
  condemned_at_ms {int} NOT NULL
) {keyed};

-- Attachments that live in the database. Metadata is its own small row: `head` and `list` read no bytes.
CREATE TABLE lash_attachments (
  attachment_id {text} NOT NULL PRIMARY KEY,
  meta_json {text} NOT NULL,
  content {blob} NOT NULL,
  created_at_ms {int} NOT NULL
) {table};

CREATE TABLE lash_effect_journal (
  seq {serial},
  scope_key {text} NOT NULL,
  replay_key {text} NOT NULL,
  session_id {text},
  process_id {text},
  effect_kind {text} NOT NULL,
  envelope_hash {text} NOT NULL,
  envelope_json {text},
  status {text} NOT NULL,
  outcome_json {text},
  error_json {text},
  lease_owner {text} NOT NULL,
  lease_token {text},
  lease_expires_at_ms {int} NOT NULL DEFAULT 0,
  due_at_ms {int},
  attempts {int} NOT NULL,
  never {int} NOT NULL,
  producer {text} NOT NULL,
  started_at_ms {int} NOT NULL,
  finished_at_ms {int},
  group_key {text},
  settlement_seq {int}
) {table};
-- One outcome per key of a scope.
CREATE UNIQUE INDEX lash_effect_journal_key ON lash_effect_journal (scope_key, replay_key);
-- Deletion of a session takes its rows along.
CREATE INDEX lash_effect_journal_session ON lash_effect_journal (session_id) WHERE session_id IS NOT NULL;
-- What is in doubt, and what is running without a scope lease.
CREATE INDEX lash_effect_journal_open ON lash_effect_journal (scope_key) WHERE status = 'in_progress';

CREATE TABLE lash_await_meta (
  singleton {int} NOT NULL PRIMARY KEY,
  signing_secret {blob} NOT NULL
) {table};

CREATE TABLE lash_await_events (
  key_id {text} NOT NULL PRIMARY KEY,
  scope_json {text} NOT NULL,
  wait_json {text} NOT NULL,
  session_id {text},
  deadline_ms {int},
  terminal_json {text},
  created_at_ms {int} NOT NULL,
  resolved_at_ms {int}
) {table};
CREATE INDEX lash_await_events_session ON lash_await_events (session_id) WHERE session_id IS NOT NULL;

CREATE TABLE lash_await_revoked_sessions (
  session_id {text} NOT NULL PRIMARY KEY,
  revoked_at_ms {int} NOT NULL
) {keyed};
