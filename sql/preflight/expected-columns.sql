-- finding: expected-columns
-- direction: both
-- ok: the columns that the pending steps use exist, with suitable types
-- why: a foreign key needs a unique uuid key, a backfill follows a key of one column, and the flags
--      are written into jsonb
-- do: compare the table with the platform's schema; change the column, or name the right schema
--      with --schema

SELECT
    'blocks' AS level,
    CASE
        WHEN a.attname IS NULL THEN format('%s has no column %I', c.oid::regclass, t.col)
        ELSE format('%s.%I is %s; the step needs %s', c.oid::regclass, t.col,
                    format_type(a.atttypid, a.atttypmod), t.wanted)
    END AS what,
    format('%s.%I', c.oid::regclass, t.col) AS object,
    t.steps
FROM (VALUES
    ('users', 'id', 'pg_catalog.uuid'::regtype, ARRAY[1]),
    ('chatbots', 'id', 'pg_catalog.uuid', ARRAY[4, 6, 10, 12]),
    ('chatbot_packages', 'id', 'pg_catalog.uuid', ARRAY[4, 5]),
    ('companies', 'id', 'pg_catalog.uuid', ARRAY[9, 10, 12]),
    ('end_users', 'id', 'pg_catalog.uuid', ARRAY[10]),
    ('conversations', 'id', 'pg_catalog.uuid', ARRAY[10]),
    ('ai_models', 'id', 'pg_catalog.uuid', ARRAY[13]),
    ('companies', 'settings', 'pg_catalog.jsonb', ARRAY[12]),
    ('chatbots', 'settings', 'pg_catalog.jsonb', ARRAY[12]),
    ('ai_models', 'provider', NULL, ARRAY[7, 13])
) AS t(name, col, wanted, steps)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
LEFT JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid = c.oid AND a.attname = t.col AND a.attnum > 0 AND NOT a.attisdropped
WHERE a.attname IS NULL OR a.atttypid <> t.wanted;

-- needs: chatapp.users, chatapp.chatbots, chatapp.ai_models
SELECT
    'blocks' AS level,
    CASE
        WHEN a.attname IS NULL THEN format('%s has no column %I', t.relation::regclass, t.col)
        ELSE format('%s.%I is %s; the step needs character varying or text', t.relation::regclass, t.col,
                    format_type(a.atttypid, a.atttypmod))
    END AS what,
    format('%s.%I', t.relation::regclass, t.col) AS object,
    t.steps
FROM (VALUES
    ('chatapp.users'::regclass, 'avatar_url'::name, true, ARRAY[1]),
    ('chatapp.chatbots'::regclass, 'company_id'::name, false, ARRAY[4]),
    ('chatapp.chatbots'::regclass, 'package_id'::name, false, ARRAY[6]),
    ('chatapp.ai_models'::regclass, 'model_name'::name, true, ARRAY[13])
) AS t(relation, col, words, steps)
LEFT JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid = t.relation AND a.attname = t.col AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN LATERAL (
    -- Of a domain, the type that it is over.
    WITH RECURSIVE chain(oid, base) AS (
        SELECT y.oid, y.typbasetype FROM pg_catalog.pg_type AS y WHERE y.oid = a.atttypid
        UNION ALL
        SELECT y.oid, y.typbasetype FROM chain JOIN pg_catalog.pg_type AS y ON y.oid = chain.base
    )
    SELECT chain.oid FROM chain WHERE chain.base = 0
) AS y ON true
WHERE a.attname IS NULL
   OR (t.words AND y.oid NOT IN ('pg_catalog.varchar'::regtype, 'pg_catalog.text'::regtype, 'pg_catalog.bpchar'::regtype));

SELECT
    'blocks' AS level,
    format('%s.id has no primary key or unique constraint of its own; %s', c.oid::regclass, t.use) AS what,
    format('%s.id', c.oid::regclass) AS object,
    t.steps
FROM (VALUES
    ('users', 'migrate down saves long addresses by it', ARRAY[1]),
    ('chatbots', 'the new tables refer to it, and the backfill goes along it', ARRAY[4, 6, 10, 12]),
    ('chatbot_packages', 'the backfill goes along it', ARRAY[4, 5]),
    ('companies', 'the new tables refer to it, and the backfill goes along it', ARRAY[9, 10, 12]),
    ('end_users', 'calls refers to it', ARRAY[10]),
    ('conversations', 'calls refers to it', ARRAY[10])
) AS t(name, use, steps)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'id' AND NOT a.attisdropped
WHERE NOT EXISTS (
    SELECT 1 FROM pg_catalog.pg_constraint AS k
    WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u') AND NOT k.condeferrable AND k.conkey = ARRAY[a.attnum]
);
