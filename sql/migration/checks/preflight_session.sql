-- The server process that answers this transaction: behind a pooler it may be another one each time.
SELECT pg_backend_pid();
