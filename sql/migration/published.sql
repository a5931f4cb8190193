-- The platform's tables that are published, or will be as soon as they are made, with the publications.
-- %(schema)s, %(names)s: the tables that the steps change or make
SELECT t.name, array_agg(DISTINCT p.pubname::text ORDER BY p.pubname::text)
FROM unnest(%(names)s::text[]) AS t(name)
JOIN pg_publication AS p ON p.puballtables
    OR EXISTS (SELECT FROM pg_publication_tables AS b
               WHERE b.pubname = p.pubname AND b.schemaname = %(schema)s AND b.tablename = t.name)
GROUP BY t.name
