-- finding: updated-at-function
-- steps: 9-10
-- ok: update_updated_at_column() is a trigger function, or callctl will create it
-- why: the triggers of the new tables call it, and CREATE TRIGGER refuses a function that does not return
--      trigger
-- do: rename the function that has this name, or change it to return trigger

SELECT
    'blocks' AS level,
    format('%s returns %s and not trigger', p.oid::regprocedure, format_type(p.prorettype, NULL)) AS what,
    p.oid::regprocedure::text AS object,
    format('ALTER FUNCTION %s RENAME TO update_updated_at_column_old;', p.oid::regprocedure) AS fix
FROM pg_catalog.pg_proc AS p
WHERE p.proname = 'update_updated_at_column'
  AND p.pronamespace = 'chatapp'::regnamespace
  AND p.pronargs = 0
  AND p.prorettype <> 'pg_catalog.trigger'::regtype;
