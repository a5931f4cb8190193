-- For the transaction of one question: a lock that another session holds is waited for no longer than this. %(timeout)s
SELECT set_config('lock_timeout', %(timeout)s, true)
