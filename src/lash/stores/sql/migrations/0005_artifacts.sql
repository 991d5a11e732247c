-- Schema version 4: modules and process environments, by content.

-- `artifact_ref` is derived from the contents by whoever owns the `descriptor`; `content_hash` is of the bytes,
-- so that damage is told apart from a wrong reference.
CREATE TABLE lash_artifacts (
  artifact_ref {text} NOT NULL PRIMARY KEY,
  descriptor {text} NOT NULL,
  content_hash {text} NOT NULL,
  content {blob} NOT NULL,
  created_at_ms {int} NOT NULL
) {table};
