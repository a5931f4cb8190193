-- Whether no process works at a rotation, for as long as this transaction lasts. %(classid)s, %(rotation)s
SELECT pg_try_advisory_xact_lock(%(classid)s, %(rotation)s)
