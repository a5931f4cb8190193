-- What a transaction of a step begins with: the work lock, for this transaction too; how long a statement may wait for a
-- lock, and for how long the server suffers a silent callctl before it ends the transaction and frees its locks.
-- Whether the lock was to be had, and whether the first setting stands. %(classid)s, %(schema)s, %(lock_timeout)s, %(idle)s
SELECT pg_try_advisory_xact_lock(%(classid)s, hashtext(%(schema)s)),
       set_config('lock_timeout', %(lock_timeout)s, true),
       set_config('idle_in_transaction_session_timeout', %(idle)s, true),
       current_setting('lock_timeout')::interval = %(lock_timeout)s::interval
