-- Two rotations that begin at once make the store one after the other. %(classid)s, %(schema)s
SELECT pg_advisory_xact_lock(%(classid)s, hashtext(%(schema)s))
