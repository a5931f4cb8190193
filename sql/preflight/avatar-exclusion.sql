-- finding: avatar-exclusion
-- steps: 1
-- direction: both
-- ok: no exclusion constraint on users.avatar_url has its index in a tablespace
-- why: PostgreSQL loses that tablespace when it changes the column's type, and then looks for the index in the wrong place: from
--      then on every write to users fails with "could not open file"
-- do: move the index to the default tablespace before the step, and back after it

-- needs: chatapp.users.avatar_url
SELECT
    'blocks' AS level,
    format('the index of exclusion constraint %I on %s is in tablespace %I', k.conname, k.conrelid::regclass, s.spcname) AS what,
    k.conindid::regclass::text AS object,
    format('ALTER INDEX %s SET TABLESPACE pg_default; it locks the index while it is copied', k.conindid::regclass) AS fix
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS i ON i.oid = k.conindid
JOIN pg_catalog.pg_tablespace AS s ON s.oid = i.reltablespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attname = 'avatar_url'::name
WHERE k.conrelid = 'chatapp.users'::regclass
  AND k.contype = 'x'
  AND EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
      AND (d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = k.oid
           OR d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = k.conindid));
