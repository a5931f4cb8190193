-- finding: type-column
-- steps: 4-6
-- ok: the type column of both tables is text, varchar or an enum that knows "chat" and "call", with a deterministic collation
-- why: callctl derives the capability flags from the type column, and migrate down restores the column; so it must hold both values
-- do: add the missing label, or turn the column into varchar(50) with a deterministic collation; then run preflight again

-- needs: chatapp.chatbots.chatbotType
SELECT
    'blocks' AS level,
    CASE
        WHEN y.typtype = 'e' THEN format('the enum %s of %s.%I has no label %L',
            y.oid::regtype, a.attrelid::regclass, a.attname, v.label)
        WHEN y.typname IN ('varchar', 'bpchar') THEN format('%s.%I is %s, too short for %L',
            a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), v.label)
        ELSE format('%s.%I is %s, neither text, varchar nor an enum',
            a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod))
    END AS what,
    format('%s.%I', a.attrelid::regclass, a.attname) AS object,
    NULL::integer[] AS steps,
    CASE WHEN y.typtype = 'e' THEN format('ALTER TYPE %s ADD VALUE %L;', y.oid::regtype, v.label)
         ELSE format('ALTER TABLE %s ALTER COLUMN %I TYPE varchar(50);', a.attrelid::regclass, a.attname) END AS fix
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
CROSS JOIN (VALUES ('chat'), ('call')) AS v(label)
WHERE a.attrelid = 'chatapp.chatbots'::regclass
  AND a.attname = 'chatbottype'::name
  AND ((y.typtype = 'e' AND NOT EXISTS (
            SELECT 1 FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = y.oid AND e.enumlabel = v.label))
       OR (y.typtype <> 'e' AND v.label = 'chat'
           AND (y.typname NOT IN ('varchar', 'text', 'bpchar') OR a.atttypmod BETWEEN 4 AND 4 + length(v.label) - 1)));

-- needs: chatapp.chatbot_packages.chatbotType
SELECT
    'blocks' AS level,
    CASE
        WHEN y.typtype = 'e' THEN format('the enum %s of %s.%I has no label %L',
            y.oid::regtype, a.attrelid::regclass, a.attname, v.label)
        WHEN y.typname IN ('varchar', 'bpchar') THEN format('%s.%I is %s, too short for %L',
            a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), v.label)
        ELSE format('%s.%I is %s, neither text, varchar nor an enum',
            a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod))
    END AS what,
    format('%s.%I', a.attrelid::regclass, a.attname) AS object,
    NULL::integer[] AS steps,
    CASE WHEN y.typtype = 'e' THEN format('ALTER TYPE %s ADD VALUE %L;', y.oid::regtype, v.label)
         ELSE format('ALTER TABLE %s ALTER COLUMN %I TYPE varchar(50);', a.attrelid::regclass, a.attname) END AS fix
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
CROSS JOIN (VALUES ('chat'), ('call')) AS v(label)
WHERE a.attrelid = 'chatapp.chatbot_packages'::regclass
  AND a.attname = 'chatbottype'::name
  AND ((y.typtype = 'e' AND NOT EXISTS (
            SELECT 1 FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = y.oid AND e.enumlabel = v.label))
       OR (y.typtype <> 'e' AND v.label = 'chat'
           AND (y.typname NOT IN ('varchar', 'text', 'bpchar') OR a.atttypmod BETWEEN 4 AND 4 + length(v.label) - 1)));

-- needs: chatapp.chatbots.chatbotType
SELECT
    'blocks' AS level,
    format('%s.%I has the collation %I, for which different spellings are equal: what is an unknown type then is not the'
           ' same for every comparison', a.attrelid::regclass, a.attname, o.collname) AS what,
    format('%s.%I', a.attrelid::regclass, a.attname) AS object,
    NULL::integer[] AS steps,
    format('ALTER TABLE %s ALTER COLUMN %I TYPE varchar(50) COLLATE "C";', a.attrelid::regclass, a.attname) AS fix
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_collation AS o ON o.oid = a.attcollation AND NOT o.collisdeterministic
WHERE a.attrelid = 'chatapp.chatbots'::regclass
  AND a.attname = 'chatbottype'::name;

-- needs: chatapp.chatbot_packages.chatbotType
SELECT
    'blocks' AS level,
    format('%s.%I has the collation %I, for which different spellings are equal: what is an unknown type then is not the'
           ' same for every comparison', a.attrelid::regclass, a.attname, o.collname) AS what,
    format('%s.%I', a.attrelid::regclass, a.attname) AS object,
    NULL::integer[] AS steps,
    format('ALTER TABLE %s ALTER COLUMN %I TYPE varchar(50) COLLATE "C";', a.attrelid::regclass, a.attname) AS fix
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_collation AS o ON o.oid = a.attcollation AND NOT o.collisdeterministic
WHERE a.attrelid = 'chatapp.chatbot_packages'::regclass
  AND a.attname = 'chatbottype'::name;
