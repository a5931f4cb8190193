-- Load tests whose company is not removed yet, and whether it is still there; none is running while a migration is.
SELECT t.company_id::text, to_char(t.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), t.client
FROM callctl.load_test AS t
ORDER BY t.started_at, t.company_id
