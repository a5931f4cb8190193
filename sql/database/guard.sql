-- The beginning of a transaction: the work lock, for this transaction too, shared where several callctl may work at once; how
-- long a statement may wait for a lock, and after which time the server ends the transaction of a silent callctl, to
-- free its locks. Returns whether the lock was free, and whether the first setting is in force.
-- Beside another session, %(beside)s, it is that one's work lock which counts; %(batch)s says that this one is at work too, and
-- is taken first, so that who has taken the work lock since either sees it or is seen.
-- %(classid)s, %(schema)s, %(shared)s, %(lock_timeout)s, %(idle)s
SELECT CASE
         WHEN %(shared)s THEN pg_try_advisory_xact_lock_shared(%(classid)s, hashtext(%(schema)s))
         WHEN %(beside)s::integer IS NULL THEN pg_try_advisory_xact_lock(%(classid)s, hashtext(%(schema)s))
         WHEN pg_try_advisory_xact_lock_shared(%(batch)s, hashtext(%(schema)s)) THEN EXISTS (
           SELECT FROM pg_locks
           WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND pid = %(beside)s::integer
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND classid::bigint = %(classid)s AND objid::bigint = hashtext(%(schema)s)::bigint & 4294967295)
         ELSE false
       END AS locked,
       set_config('lock_timeout', %(lock_timeout)s, true) AS lock_timeout,
       set_config('idle_in_transaction_session_timeout', %(idle)s, true) AS idle_timeout,
       current_setting('lock_timeout')::interval = %(lock_timeout)s::interval AS lock_timeout_stays
