-- finding: read-only
-- direction: both
-- ok: this role's transactions can write
-- why: every step writes, and a read-only session refuses the first one
-- do: connect as a role that may write, or reset default_transaction_read_only for this role and database

SELECT
    'blocks' AS level,
    format('transactions of role %s are read-only here: default_transaction_read_only is on (set by %s)',
           current_user, s.source) AS what,
    current_user::text AS object,
    -- The session that runs it is read only as well.
    format('SET default_transaction_read_only = off; SET transaction_read_only = off; ALTER ROLE %I IN DATABASE %I SET default_transaction_read_only = off;',
           current_user, current_database()) AS fix
FROM pg_catalog.pg_settings AS s
WHERE s.name = 'default_transaction_read_only' AND s.setting = 'on';
