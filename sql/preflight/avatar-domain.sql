-- finding: avatar-domain
-- steps: 1
-- begun: skip
-- ok: the type of users.avatar_url has no rule of its own
-- why: step 1 changes the column to text, and migrate down restores its domain; in between, nothing enforces the
--      domain's rule, so migrate down could stop at a URL that breaks the rule
-- do: give the column the domain's base type, with the rule as a constraint of the table, then run preflight again

-- needs: chatapp.users.avatar_url
WITH RECURSIVE chain(oid, base, what) AS (
    SELECT y.oid, y.typbasetype, NULL::text
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
    WHERE a.attrelid = 'chatapp.users'::regclass AND a.attname = 'avatar_url'::name AND NOT a.attisdropped
    UNION ALL
    SELECT y.oid, y.typbasetype, NULL FROM chain JOIN pg_catalog.pg_type AS y ON y.oid = chain.base
), bound AS (
    SELECT y.oid, k.conname::text AS name, pg_get_constraintdef(k.oid) AS rule
    FROM chain JOIN pg_catalog.pg_type AS y ON y.oid = chain.oid
    JOIN pg_catalog.pg_constraint AS k ON k.contypid = y.oid AND k.contype = 'c'
    UNION ALL
    SELECT y.oid, 'NOT NULL', 'NOT NULL' FROM chain JOIN pg_catalog.pg_type AS y ON y.oid = chain.oid WHERE y.typnotnull
    UNION ALL
    SELECT y.oid, 'DEFAULT', format('DEFAULT %s', y.typdefault)
    FROM chain JOIN pg_catalog.pg_type AS y ON y.oid = chain.oid WHERE y.typtype = 'd' AND y.typdefault IS NOT NULL
)
SELECT
    'blocks' AS level,
    format('%s.%I is of the domain %s, which has a rule of its own: %s', 'chatapp.users'::regclass, 'avatar_url'::name,
           b.oid::regtype, string_agg(b.rule, ', ' ORDER BY b.name)) AS what,
    b.oid::regtype::text AS object
FROM bound AS b
GROUP BY b.oid;
