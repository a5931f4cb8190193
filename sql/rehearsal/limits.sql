-- For the transaction that looks at the target: how long one query may take, and the documented keys of the call settings, by
-- which shapes are told apart.
SELECT set_config('statement_timeout', %(timeout)s, true), set_config('callctl.call_keys', %(keys)s, true)
