-- The publications of a whole schema (PostgreSQL 15). %(schema)s
SELECT array_agg(p.pubname::text ORDER BY p.pubname::text)
FROM pg_publication_namespace AS s
JOIN pg_publication AS p ON p.oid = s.pnpubid
JOIN pg_namespace AS n ON n.oid = s.pnnspid
WHERE n.nspname = %(schema)s
