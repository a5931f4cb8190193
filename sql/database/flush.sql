-- Everything committed so far is on disk when this has committed: it writes to the log behind all of it, and its own commit
-- waits as the server's settings for this role and database say, for a synchronous standby too. %(said)s: what was committed
SELECT set_config('synchronous_commit', s.reset_val, true), pg_logical_emit_message(true, 'callctl', %(said)s)
FROM pg_settings AS s
WHERE s.name = 'synchronous_commit'
