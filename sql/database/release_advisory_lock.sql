-- And back. %(classid)s, %(number)s
SELECT pg_advisory_unlock(%(classid)s, %(number)s)
