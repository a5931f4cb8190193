-- What a dump needs and this server or role has not: roles that are not there, owners to which this role may not give anything,
-- extensions that cannot be installed. %(owners)s, %(grantees)s, %(extensions)s
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
ORDER BY 1, 2
