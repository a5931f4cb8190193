-- For this transaction, which is idle while pg_dump works: no limit but that on waiting for a lock; and a table
-- whose rows this role may see only in part is an error. A server that does not know a setting yet does without.
SELECT set_config(s.name, v.value, true)
FROM (VALUES
    ('statement_timeout', '0'),
    ('idle_in_transaction_session_timeout', '0'),
    ('transaction_timeout', '0'),
    ('row_security', 'off')
) AS v(name, value)
JOIN pg_catalog.pg_settings AS s ON s.name = v.name
