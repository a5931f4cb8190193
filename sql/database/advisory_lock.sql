-- An advisory lock of this session, if it is free. %(classid)s, %(number)s, %(shared)s
SELECT CASE WHEN %(shared)s THEN pg_try_advisory_lock_shared(%(classid)s, %(number)s)
            ELSE pg_try_advisory_lock(%(classid)s, %(number)s) END
