-- What the runs under way say of themselves: of processes that still have the migration lock. %(lock)s: the first half of its key
SELECT r.session, r.command, r.steps, r.step,
       extract(epoch FROM clock_timestamp() - r.began_at)::float8 AS seconds,
       extract(epoch FROM clock_timestamp() - r.step_began_at)::float8 AS step_seconds,
       r.brake, r.obeyed, r.share, r.waiting_before,
       extract(epoch FROM clock_timestamp() - r.told_at)::float8 AS told_seconds
FROM callctl.run_state AS r
WHERE EXISTS (
  SELECT FROM pg_catalog.pg_locks AS l
  WHERE l.pid = r.session AND l.locktype = 'advisory' AND l.classid::bigint = %(lock)s AND l.granted)
ORDER BY r.session
