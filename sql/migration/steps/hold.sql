-- From here on, a statement of this transaction that would hold a lock longer than is left ends by itself: the server cancels
-- it, even if the client is gone. %(wait_ms)s, %(hold_ms)s: how long to wait for a lock and how long to hold it, milliseconds
SELECT set_config('callctl.held_since', h.since::text, true),
       set_config('statement_timeout', greatest(
           %(wait_ms)s + %(hold_ms)s - (extract(epoch FROM clock_timestamp() - h.since) * 1000)::integer, 1)::text, true)
FROM (
    SELECT coalesce(nullif(current_setting('callctl.held_since', true), '')::timestamp with time zone, clock_timestamp())
) AS h(since)
