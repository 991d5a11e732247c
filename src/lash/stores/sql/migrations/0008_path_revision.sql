-- The last revision whose commit was no plain continuation of the active path: a branch, another graph in its
-- place. Who knows a newer revision has seen the path turn, and need only read the nodes behind its own leaf.
ALTER TABLE lash_sessions ADD COLUMN path_revision {int} NOT NULL DEFAULT 0
