-- The schema, if it is there.
SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s
