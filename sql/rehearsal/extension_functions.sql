-- A substitute for each function of an extension, for a server that does not have the extension: with the same arguments and result.
-- What returns a new uuid does so; any other says that it is not there, where it is called. Extension, statement.
SELECT e.extname::text,
       format('CREATE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE %s %s', n.nspname, p.proname, pg_get_function_arguments(p.oid),
              pg_get_function_result(p.oid),
              CASE p.provolatile WHEN 'i' THEN 'plpgsql IMMUTABLE' WHEN 's' THEN 'plpgsql STABLE' ELSE 'plpgsql VOLATILE' END,
              format('AS %L', CASE WHEN p.pronargs = 0 AND p.prorettype = 'uuid'::regtype
                                   THEN 'BEGIN RETURN pg_catalog.gen_random_uuid(); END'
                                   ELSE format('BEGIN RAISE EXCEPTION USING MESSAGE = %L; END',
                                               'extension ' || e.extname || ' is not there in a rehearsal') END))
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
  AND d.classid = 'pg_catalog.pg_proc'::regclass AND d.deptype = 'e'
JOIN pg_catalog.pg_proc AS p ON p.oid = d.objid AND p.prokind = 'f' AND p.prorettype <> 'internal'::regtype
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE e.extname <> 'plpgsql'
ORDER BY 1, 2
