-- For the session that scans while a rotation works. A callctl that is stopped or cut off holds locks on the tables that it has read:
-- the server bears that no longer than this, and a migration need not wait. %(idle)s
SELECT set_config('idle_in_transaction_session_timeout', %(idle)s, false)
