-- The statements that give the rehearsal's database the owner and the privileges of this one.
SELECT format('ALTER DATABASE rehearsal OWNER TO %I', pg_get_userbyid(d.datdba)) AS statement, 1 AS place
FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()
UNION ALL
SELECT 'REVOKE ALL ON DATABASE rehearsal FROM PUBLIC', 2
UNION ALL
SELECT format('GRANT %s ON DATABASE rehearsal TO %s', a.privilege_type,
              CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END), 3
FROM pg_catalog.pg_database AS d CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
WHERE d.datname = current_database()
ORDER BY 2, 1
