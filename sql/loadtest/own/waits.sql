-- parameters: none

-- What the load's sessions wait for at this moment, and how many others one of them keeps waiting.
SELECT coalesce(a.wait_event_type, 'none') AS type, coalesce(a.wait_event, 'none') AS event,
       count(*) FILTER (WHERE a.application_name = 'callctl loadtest') AS ours,
       count(*) FILTER (WHERE a.application_name <> 'callctl loadtest' AND EXISTS (
         SELECT FROM unnest(pg_blocking_pids(a.pid)) AS b (pid) JOIN pg_stat_activity AS o ON o.pid = b.pid
         WHERE o.application_name = 'callctl loadtest')) AS others,
       coalesce(extract(epoch FROM max(clock_timestamp() - a.query_start) FILTER (WHERE a.wait_event_type = 'Lock')), 0)::float8 AS longest
FROM pg_stat_activity AS a
WHERE a.datname = current_database() AND a.state <> 'idle' AND a.pid <> pg_backend_pid()
  AND (a.application_name = 'callctl loadtest' OR a.wait_event_type = 'Lock')
GROUP BY 1, 2
