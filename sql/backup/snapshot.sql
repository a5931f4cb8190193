-- The snapshot that pg_dump shall see the database in, too; it can be had for as long as this transaction lasts.
SELECT pg_export_snapshot()
