-- The companies: where a bound value that does not open may have come from.
SELECT c.id::text FROM {companies} AS c ORDER BY c.id LIMIT 100000
