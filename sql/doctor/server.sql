-- The server's clock, the size of the database, and the process that answers.
SELECT clock_timestamp() AS clock, pg_database_size(current_database()) AS bytes, pg_backend_pid() AS pid
