-- What is granted on the things of a dump beyond what their kind brings with it, and what of that was revoked: one line each.
-- Not on what an extension brought. %(left_out)s
WITH thing(kind, classid, objid, namespace, name, owner, acl, base) AS (
  SELECT 'schema', 'pg_catalog.pg_namespace'::regclass, oid, oid, quote_ident(nspname), nspowner, nspacl, acldefault('n', nspowner)
  FROM pg_catalog.pg_namespace
  UNION ALL
  SELECT CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, 'pg_catalog.pg_class'::regclass, c.oid, relnamespace,
         format('%%I.%%I', n.nspname, relname), relowner, relacl,
         acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
  WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't'
  UNION ALL
  SELECT 'column', 'pg_catalog.pg_class'::regclass, c.oid, relnamespace, format('%%I.%%I.%%I', n.nspname, relname, attname),
         relowner, attacl, NULL::aclitem[]
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = relnamespace
  WHERE attacl IS NOT NULL AND NOT attisdropped AND relpersistence <> 't'
  UNION ALL
  SELECT 'function', 'pg_catalog.pg_proc'::regclass, p.oid, pronamespace,
         format('%%I.%%I(%%s)', n.nspname, proname, pg_get_function_identity_arguments(p.oid)), proowner, proacl,
         acldefault('f', proowner)
  FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = pronamespace
  UNION ALL
  SELECT 'type', 'pg_catalog.pg_type'::regclass, t.oid, typnamespace, format('%%I.%%I', n.nspname, typname), typowner, typacl,
         acldefault('T', typowner)
  FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = typnamespace
  WHERE typacl IS NOT NULL AND typtype <> 'm'
  UNION ALL
  SELECT 'large object', 'pg_catalog.pg_largeobject'::regclass, oid, 0, oid::text, lomowner, lomacl, acldefault('L', lomowner)
  FROM pg_catalog.pg_largeobject_metadata
  UNION ALL
  SELECT 'server', 'pg_catalog.pg_foreign_server'::regclass, oid, 0, quote_ident(srvname), srvowner, srvacl, acldefault('S', srvowner)
  FROM pg_catalog.pg_foreign_server
), known AS (
  SELECT kind, name, coalesce(acl, base) AS acl, base FROM thing AS t
  WHERE namespace NOT IN (
      SELECT oid FROM pg_catalog.pg_namespace
      WHERE nspname ~ '^pg_' OR nspname = 'information_schema' OR nspname = ANY (%(left_out)s::text[]))
    AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = t.classid AND d.objid = t.objid AND d.deptype = 'e')
), granted AS (
  SELECT kind, name, x.grantee, x.privilege_type, bool_or(x.is_grantable) AS is_grantable
  FROM known, aclexplode(acl) AS x GROUP BY 1, 2, 3, 4
), usual AS (
  SELECT kind, name, x.grantee, x.privilege_type, bool_or(x.is_grantable) AS is_grantable
  FROM known, aclexplode(base) AS x GROUP BY 1, 2, 3, 4
), differs AS (
  SELECT 'GRANT' AS verb, 'TO' AS preposition, d.* FROM (SELECT * FROM granted EXCEPT SELECT * FROM usual) AS d
  UNION ALL
  SELECT 'REVOKE', 'FROM', d.* FROM (SELECT * FROM usual EXCEPT SELECT * FROM granted) AS d
)
SELECT format('%%s %%s ON %%s %%s %%s %%s%%s', d.verb, d.privilege_type, d.kind, d.name, d.preposition,
              CASE d.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(d.grantee)) END,
              CASE WHEN d.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM differs AS d
ORDER BY 1
