-- finding: dependents
-- steps: 1, 5-6
-- direction: both
-- ok: nothing depends on a column whose type changes or that is dropped
-- why: PostgreSQL refuses to change the type of a column, or to drop it, while a view, rule, policy,
--      generated column, trigger, publication or SQL-body function uses it; a sequence would be dropped with the column
-- do: save the definition, drop the object, run the step, and create the object again on the new columns

-- needs: chatapp.users.avatar_url
SELECT
    'blocks' AS level,
    format('%s depends on column %s.%I, which step 1 changes',
        CASE
            WHEN r.rulename = '_RETURN' AND v.relkind = 'm' THEN format('materialized view %s', v.oid::regclass)
            WHEN r.rulename = '_RETURN' THEN format('view %s', v.oid::regclass)
            WHEN f.attrelid IS NOT NULL THEN format('generated column %s.%I', f.attrelid::regclass, f.attname)
            ELSE pg_describe_object(d.classid, d.objid, d.objsubid)
        END,
        a.attrelid::regclass, a.attname) AS what,
    CASE
        WHEN v.oid IS NOT NULL THEN v.oid::regclass::text
        WHEN f.attrelid IS NOT NULL THEN format('%s.%I', f.attrelid::regclass, f.attname)
        ELSE pg_describe_object(d.classid, d.objid, d.objsubid)
    END AS object,
    ARRAY[1] AS steps,
    CASE
        WHEN v.relkind = 'm' THEN format('DROP MATERIALIZED VIEW %s; and create it again after the step', v.oid::regclass)
        WHEN v.oid IS NOT NULL THEN format('DROP VIEW %s; and create it again after the step', v.oid::regclass)
        WHEN f.attrelid IS NOT NULL
            THEN format('ALTER TABLE %s DROP COLUMN %I; and add it again after the step', f.attrelid::regclass, f.attname)
        ELSE (SELECT CASE WHEN o.type LIKE 'publication %' THEN format('ALTER PUBLICATION %s DROP TABLE %s; and add it again after the step',
                                                                       split_part(o.identity, ' in publication ', 2), a.attrelid::regclass)
                          ELSE format('DROP %s %s; and create it again after the step', upper(o.type), o.identity) END
              FROM pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) AS o)
    END AS fix
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_depend AS d
    ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
LEFT JOIN pg_catalog.pg_rewrite AS r ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
LEFT JOIN pg_catalog.pg_class AS v ON v.oid = r.ev_class AND r.rulename = '_RETURN'
LEFT JOIN pg_catalog.pg_constraint AS k ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid
LEFT JOIN (
    -- A generated column depends through its expression; before 15 by itself, and went with the column without a word.
    SELECT 'pg_catalog.pg_attrdef'::regclass AS classid, e.oid AS objid, 0 AS objsubid, i.attrelid, i.attname
    FROM pg_catalog.pg_attrdef AS e
    JOIN pg_catalog.pg_attribute AS i ON i.attrelid = e.adrelid AND i.attnum = e.adnum AND i.attgenerated <> ''
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, i.attrelid, i.attnum::integer, i.attrelid, i.attname
    FROM pg_catalog.pg_attribute AS i WHERE i.attgenerated <> ''
) AS f ON f.classid = d.classid AND f.objid = d.objid AND f.objsubid = d.objsubid
LEFT JOIN pg_catalog.pg_trigger AS t ON d.classid = 'pg_catalog.pg_trigger'::regclass AND t.oid = d.objid
LEFT JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE a.attrelid = 'chatapp.users'::regclass
  AND a.attname = 'avatar_url'::name
  AND (d.deptype = 'n' OR f.attrelid IS NOT NULL)
  AND (k.oid IS NULL OR k.conrelid <> a.attrelid)
  AND n.nspname IS DISTINCT FROM 'callctl'
GROUP BY d.classid, d.objid, d.objsubid, r.rulename, v.oid, v.relkind, f.attrelid, f.attname, a.attrelid, a.attname;

-- needs: chatapp.chatbot_packages.chatbotType
SELECT
    'blocks' AS level,
    format('%s depends on column %s.%I, which step 5 drops',
        CASE
            WHEN r.rulename = '_RETURN' AND v.relkind = 'm' THEN format('materialized view %s', v.oid::regclass)
            WHEN r.rulename = '_RETURN' THEN format('view %s', v.oid::regclass)
            WHEN f.attrelid IS NOT NULL THEN format('generated column %s.%I', f.attrelid::regclass, f.attname)
            WHEN x.oid IS NOT NULL THEN pg_describe_object('pg_catalog.pg_constraint'::regclass, x.oid, 0)
            ELSE pg_describe_object(d.classid, d.objid, d.objsubid)
        END,
        a.attrelid::regclass, a.attname) AS what,
    CASE
        WHEN v.oid IS NOT NULL THEN v.oid::regclass::text
        WHEN f.attrelid IS NOT NULL THEN format('%s.%I', f.attrelid::regclass, f.attname)
        WHEN x.oid IS NOT NULL THEN format('%I on %s', x.conname, x.conrelid::regclass)
        ELSE pg_describe_object(d.classid, d.objid, d.objsubid)
    END AS object,
    ARRAY[5] AS steps,
    CASE
        WHEN v.relkind = 'm' THEN format('DROP MATERIALIZED VIEW %s; and create it again after the step', v.oid::regclass)
        WHEN v.oid IS NOT NULL THEN format('DROP VIEW %s; and create it again after the step', v.oid::regclass)
        WHEN f.attrelid IS NOT NULL
            THEN format('ALTER TABLE %s DROP COLUMN %I; and add it again after the step', f.attrelid::regclass, f.attname)
        WHEN x.oid IS NOT NULL
            THEN format('ALTER TABLE %s DROP CONSTRAINT %I; and add it again, on the new columns, after the step', x.conrelid::regclass, x.conname)
        WHEN s.oid IS NOT NULL THEN format('ALTER SEQUENCE %s OWNED BY NONE;', s.oid::regclass)
        ELSE (SELECT CASE WHEN o.type LIKE 'publication %' THEN format('ALTER PUBLICATION %s DROP TABLE %s; and add it again after the step',
                                                                       split_part(o.identity, ' in publication ', 2), a.attrelid::regclass)
                          ELSE format('DROP %s %s; and create it again after the step', upper(o.type), o.identity) END
              FROM pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) AS o)
    END AS fix
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_depend AS d
    ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
LEFT JOIN pg_catalog.pg_rewrite AS r ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
LEFT JOIN pg_catalog.pg_class AS v ON v.oid = r.ev_class AND r.rulename = '_RETURN'
LEFT JOIN pg_catalog.pg_constraint AS k ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid
LEFT JOIN (
    -- A generated column depends through its expression; before 15 by itself, and went with the column without a word.
    SELECT 'pg_catalog.pg_attrdef'::regclass AS classid, e.oid AS objid, 0 AS objsubid, i.attrelid, i.attname
    FROM pg_catalog.pg_attrdef AS e
    JOIN pg_catalog.pg_attribute AS i ON i.attrelid = e.adrelid AND i.attnum = e.adnum AND i.attgenerated <> ''
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, i.attrelid, i.attnum::integer, i.attrelid, i.attname
    FROM pg_catalog.pg_attribute AS i WHERE i.attgenerated <> ''
) AS f ON f.classid = d.classid AND f.objid = d.objid AND f.objsubid = d.objsubid
-- A constraint is dropped with its columns, but not with a column that only an expression of its index uses.
LEFT JOIN pg_catalog.pg_constraint AS x
    ON d.classid = 'pg_catalog.pg_class'::regclass AND x.conindid = d.objid AND x.conrelid = a.attrelid AND x.contype IN ('p', 'u', 'x')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS o
                   WHERE o.classid = 'pg_catalog.pg_constraint'::regclass AND o.objid = x.oid AND o.refclassid = d.refclassid
                     AND o.refobjid = d.refobjid AND o.refobjsubid = d.refobjsubid)
LEFT JOIN pg_catalog.pg_class AS s ON d.classid = 'pg_catalog.pg_class'::regclass AND s.oid = d.objid AND s.relkind = 'S'
LEFT JOIN pg_catalog.pg_trigger AS t ON d.classid = 'pg_catalog.pg_trigger'::regclass AND t.oid = d.objid
LEFT JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE a.attrelid = 'chatapp.chatbot_packages'::regclass
  AND a.attname = 'chatbottype'::name
  -- A sequence that belongs to the column would go with it.
  AND (d.deptype = 'n' OR f.attrelid IS NOT NULL OR s.oid IS NOT NULL OR x.oid IS NOT NULL)
  AND (k.oid IS NULL OR k.conrelid <> a.attrelid)
  AND n.nspname IS DISTINCT FROM 'callctl'
GROUP BY d.classid, d.objid, d.objsubid, r.rulename, v.oid, v.relkind, f.attrelid, f.attname, x.oid, x.conrelid, x.conname, s.oid,
         a.attrelid, a.attname;

-- needs: chatapp.chatbots.chatbotType
SELECT
    'blocks' AS level,
    format('%s depends on column %s.%I, which step 6 drops',
        CASE
            WHEN r.rulename = '_RETURN' AND v.relkind = 'm' THEN format('materialized view %s', v.oid::regclass)
            WHEN r.rulename = '_RETURN' THEN format('view %s', v.oid::regclass)
            WHEN f.attrelid IS NOT NULL THEN format('generated column %s.%I', f.attrelid::regclass, f.attname)
            WHEN x.oid IS NOT NULL THEN pg_describe_object('pg_catalog.pg_constraint'::regclass, x.oid, 0)
            ELSE pg_describe_object(d.classid, d.objid, d.objsubid)
        END,
        a.attrelid::regclass, a.attname) AS what,
    CASE
        WHEN v.oid IS NOT NULL THEN v.oid::regclass::text
        WHEN f.attrelid IS NOT NULL THEN format('%s.%I', f.attrelid::regclass, f.attname)
        WHEN x.oid IS NOT NULL THEN format('%I on %s', x.conname, x.conrelid::regclass)
        ELSE pg_describe_object(d.classid, d.objid, d.objsubid)
    END AS object,
    ARRAY[6] AS steps,
    CASE
        WHEN v.relkind = 'm' THEN format('DROP MATERIALIZED VIEW %s; and create it again after the step', v.oid::regclass)
        WHEN v.oid IS NOT NULL THEN format('DROP VIEW %s; and create it again after the step', v.oid::regclass)
        WHEN f.attrelid IS NOT NULL
            THEN format('ALTER TABLE %s DROP COLUMN %I; and add it again after the step', f.attrelid::regclass, f.attname)
        WHEN x.oid IS NOT NULL
            THEN format('ALTER TABLE %s DROP CONSTRAINT %I; and add it again, on the new columns, after the step', x.conrelid::regclass, x.conname)
        WHEN s.oid IS NOT NULL THEN format('ALTER SEQUENCE %s OWNED BY NONE;', s.oid::regclass)
        ELSE (SELECT CASE WHEN o.type LIKE 'publication %' THEN format('ALTER PUBLICATION %s DROP TABLE %s; and add it again after the step',
                                                                       split_part(o.identity, ' in publication ', 2), a.attrelid::regclass)
                          ELSE format('DROP %s %s; and create it again after the step', upper(o.type), o.identity) END
              FROM pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) AS o)
    END AS fix
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_depend AS d
    ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
LEFT JOIN pg_catalog.pg_rewrite AS r ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
LEFT JOIN pg_catalog.pg_class AS v ON v.oid = r.ev_class AND r.rulename = '_RETURN'
LEFT JOIN pg_catalog.pg_constraint AS k ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid
LEFT JOIN (
    -- A generated column depends through its expression; before 15 by itself, and went with the column without a word.
    SELECT 'pg_catalog.pg_attrdef'::regclass AS classid, e.oid AS objid, 0 AS objsubid, i.attrelid, i.attname
    FROM pg_catalog.pg_attrdef AS e
    JOIN pg_catalog.pg_attribute AS i ON i.attrelid = e.adrelid AND i.attnum = e.adnum AND i.attgenerated <> ''
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, i.attrelid, i.attnum::integer, i.attrelid, i.attname
    FROM pg_catalog.pg_attribute AS i WHERE i.attgenerated <> ''
) AS f ON f.classid = d.classid AND f.objid = d.objid AND f.objsubid = d.objsubid
-- A constraint is dropped with its columns, but not with a column that only an expression of its index uses.
LEFT JOIN pg_catalog.pg_constraint AS x
    ON d.classid = 'pg_catalog.pg_class'::regclass AND x.conindid = d.objid AND x.conrelid = a.attrelid AND x.contype IN ('p', 'u', 'x')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS o
                   WHERE o.classid = 'pg_catalog.pg_constraint'::regclass AND o.objid = x.oid AND o.refclassid = d.refclassid
                     AND o.refobjid = d.refobjid AND o.refobjsubid = d.refobjsubid)
LEFT JOIN pg_catalog.pg_class AS s ON d.classid = 'pg_catalog.pg_class'::regclass AND s.oid = d.objid AND s.relkind = 'S'
LEFT JOIN pg_catalog.pg_trigger AS t ON d.classid = 'pg_catalog.pg_trigger'::regclass AND t.oid = d.objid
LEFT JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE a.attrelid = 'chatapp.chatbots'::regclass
  AND a.attname = 'chatbottype'::name
  -- A sequence that belongs to the column would go with it.
  AND (d.deptype = 'n' OR f.attrelid IS NOT NULL OR s.oid IS NOT NULL OR x.oid IS NOT NULL)
  AND (k.oid IS NULL OR k.conrelid <> a.attrelid)
  AND n.nspname IS DISTINCT FROM 'callctl'
GROUP BY d.classid, d.objid, d.objsubid, r.rulename, v.oid, v.relkind, f.attrelid, f.attname, x.oid, x.conrelid, x.conname, s.oid,
         a.attrelid, a.attname;

SELECT
    'blocks' AS level,
    format('column %s.%I holds rows of the type of %s, so that table cannot be altered', a.attrelid::regclass, a.attname,
           c.oid::regclass) AS what,
    format('%s.%I', a.attrelid::regclass, a.attname) AS object,
    ARRAY[1] AS steps
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_type AS y ON y.oid = c.reltype
JOIN pg_catalog.pg_attribute AS a ON a.atttypid IN (y.oid, y.typarray) AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_class AS h ON h.oid = a.attrelid AND h.relkind IN ('r', 'm', 'p')
WHERE c.relname = 'users' AND c.relnamespace = 'chatapp'::regnamespace;
