-- The first word of a run about itself; rows that killed runs left are deleted. %(session)s: the process with the migration lock
-- %(command)s, %(began)s: seconds since the run began, %(steps)s, %(before)s: sessions of others that wait for a lock
WITH gone AS (
  DELETE FROM callctl.run_state AS r
  WHERE r.session <> %(session)s AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_locks AS l
    WHERE l.pid = r.session AND l.locktype = 'advisory' AND l.classid::bigint = %(lock)s AND l.granted))
INSERT INTO callctl.run_state (session, command, began_at, steps, obeyed, share, waiting_before)
VALUES (%(session)s, %(command)s, clock_timestamp() - make_interval(secs => %(began)s), %(steps)s::jsonb, 0, 1, %(before)s)
ON CONFLICT (session) DO UPDATE
SET command = excluded.command, began_at = excluded.began_at, steps = excluded.steps,
    step = NULL, step_began_at = NULL, brake = NULL, obeyed = 0, share = 1, waiting_before = excluded.waiting_before,
    told_at = clock_timestamp()
