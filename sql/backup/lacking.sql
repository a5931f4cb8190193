-- What a dump needs and this server or role has not: roles that are not there, owners to which this role may not give anything,
-- extensions that are not installed on the server, or that this role may not create (a trusted one needs CREATE alone). %(owners)s, %(grantees)s, %(extensions)s
SELECT 'role' AS kind, wanted.name, r.oid IS NULL AS absent
FROM (
  SELECT unnest(%(owners)s::text[]), true
  UNION SELECT unnest(%(grantees)s::text[]), false
) AS wanted(name, owns)
LEFT JOIN pg_catalog.pg_roles AS r ON r.rolname = wanted.name
WHERE r.oid IS NULL OR (wanted.owns AND NOT pg_has_role(r.oid, 'MEMBER'))
UNION
SELECT 'extension', wanted.name, true
FROM unnest(%(extensions)s::text[]) AS wanted(name)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_available_extensions AS a WHERE a.name = wanted.name)
UNION
SELECT 'extension', v.name, false
FROM pg_catalog.pg_available_extensions AS a
JOIN pg_catalog.pg_available_extension_versions AS v ON v.name = a.name AND v.version = a.default_version
WHERE a.name = ANY (%(extensions)s::text[]) AND a.installed_version IS NULL
  AND v.superuser
  AND NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user)
  -- PostgreSQL 12 knows of no trusted ones.
  AND NOT coalesce((to_jsonb(v) ->> 'trusted')::boolean, false)
ORDER BY 1, 2
