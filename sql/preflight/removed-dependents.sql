-- finding: removed-dependents
-- steps: 2-3, 7
-- direction: down
-- ok: nothing has come to depend on the columns that migrate down removes
-- why: PostgreSQL refuses to drop a column that a view, policy, trigger, generated column or SQL-body
--      function uses; a function that only mentions it fails at its next call
-- do: save the definition and drop the object before migrate down, or change it so that it does not use the column

-- needs: callctl.made
SELECT
    'blocks' AS level,
    format('%s depends on column %s.%I, which migrate down from step %s removes',
        CASE
            WHEN r.rulename = '_RETURN' AND v.relkind = 'm' THEN format('materialized view %s', v.oid::regclass)
            WHEN r.rulename = '_RETURN' THEN format('view %s', v.oid::regclass)
            WHEN f.attrelid IS NOT NULL THEN format('generated column %s.%I', f.attrelid::regclass, f.attname)
            ELSE pg_describe_object(d.classid, d.objid, d.objsubid)
        END,
        a.attrelid::regclass, a.attname, w.step) AS what,
    CASE
        WHEN v.oid IS NOT NULL THEN v.oid::regclass::text
        WHEN f.attrelid IS NOT NULL THEN format('%s.%I', f.attrelid::regclass, f.attname)
        ELSE pg_describe_object(d.classid, d.objid, d.objsubid)
    END AS object,
    ARRAY[w.step] AS steps,
    CASE
        WHEN v.relkind = 'm' THEN format('DROP MATERIALIZED VIEW %s;', v.oid::regclass)
        WHEN v.oid IS NOT NULL THEN format('DROP VIEW %s;', v.oid::regclass)
        WHEN f.attrelid IS NOT NULL THEN format('ALTER TABLE %s DROP COLUMN %I;', f.attrelid::regclass, f.attname)
        ELSE (SELECT CASE WHEN o.type LIKE 'publication %' THEN format('ALTER PUBLICATION %s DROP TABLE %s;',
                                                                       split_part(o.identity, ' in publication ', 2), a.attrelid::regclass)
                          ELSE format('DROP %s %s;', upper(o.type), o.identity) END
              FROM pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) AS o)
    END || ' keep its definition, and change it to do without the column' AS fix
FROM (
    SELECT m.step, m.relation, m.name FROM callctl.made AS m WHERE m.kind = 'column' AND m.relation = 'ai_models'
    UNION
    SELECT t.step, t.relation, t.name
    FROM (VALUES
        (2, 'chatbot_packages', 'enable_chat'),
        (2, 'chatbot_packages', 'enable_call'),
        (3, 'chatbots', 'enabled_chat'),
        (3, 'chatbots', 'enabled_call'),
        (7, 'ai_models', 'model_type')
    ) AS t(step, relation, name)
) AS w
JOIN pg_catalog.pg_class AS c ON c.relname = w.relation AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = w.name AND NOT a.attisdropped
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
LEFT JOIN pg_catalog.pg_trigger AS g ON d.classid = 'pg_catalog.pg_trigger'::regclass AND g.oid = d.objid
LEFT JOIN pg_catalog.pg_proc AS p ON p.oid = g.tgfoid
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE (d.deptype = 'n' OR f.attrelid IS NOT NULL)
  AND (k.oid IS NULL OR k.conrelid <> a.attrelid)
  AND n.nspname IS DISTINCT FROM 'callctl'
  AND p.proname IS DISTINCT FROM 'check_chatbot_capabilities'
GROUP BY d.classid, d.objid, d.objsubid, r.rulename, v.oid, v.relkind, f.attrelid, f.attname, a.attrelid,
         a.attname, w.step;

SELECT
    'warns' AS level,
    format('the text of function %s mentions %s, which migrate down from step %s removes', p.oid::regprocedure,
           string_agg(w.name, ', ' ORDER BY w.name), w.step) AS what,
    p.oid::regprocedure::text AS object,
    ARRAY[w.step] AS steps
FROM (VALUES
    (2, 'enable_chat'), (2, 'enable_call'), (3, 'enabled_chat'), (3, 'enabled_call'), (7, 'model_type')
) AS w(step, name)
JOIN pg_catalog.pg_proc AS p ON strpos(lower(p.prosrc), w.name) > 0
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'callctl')
  AND l.lanname NOT IN ('c', 'internal')
  AND p.proname <> 'check_chatbot_capabilities'
GROUP BY p.oid, w.step;
