-- Two pages less for every start, and less for every end.

-- What is live is found through the index of what is due: it holds exactly that.
DROP INDEX lash_processes_live;
-- Nearly everything is started by the host, and an index on what nearly all have alike finds nothing.
DROP INDEX lash_processes_originator;
CREATE INDEX lash_processes_originator ON lash_processes (originator_id, process_id) WHERE originator_id <> 'host';
