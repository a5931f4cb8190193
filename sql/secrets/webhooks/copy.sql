-- The data of a COPY is not logged as a statement is.
COPY pg_temp.callctl_new_value (account_id, webhook_secret) FROM STDIN (FORMAT binary)
