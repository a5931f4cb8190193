-- Add the rows of a batch to what this session has done of the work list, in the batch's transaction. %(rows)s
INSERT INTO callctl.work_done (session, listed, done) VALUES (pg_backend_pid(), 0, %(rows)s)
ON CONFLICT (session) DO UPDATE SET done = work_done.done + excluded.done
