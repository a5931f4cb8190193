-- The process that answers, and whose statements it runs in which database. Behind a pooler the client may know the database and
-- the role under other names; these are the server's.
SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_database(), current_user
