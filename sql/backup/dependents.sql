-- What stays in a backup and could not be restored without something in a schema that is left out. %(left_out)s
WITH left_out AS (
  SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY (%(left_out)s::text[])
), thing(classid, objid, namespace) AS (
  SELECT 'pg_catalog.pg_class'::regclass, oid, relnamespace FROM pg_catalog.pg_class
  UNION ALL SELECT 'pg_catalog.pg_type'::regclass, oid, typnamespace FROM pg_catalog.pg_type
  UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid, pronamespace FROM pg_catalog.pg_proc
  UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, oid, oprnamespace FROM pg_catalog.pg_operator
  UNION ALL SELECT 'pg_catalog.pg_opclass'::regclass, oid, opcnamespace FROM pg_catalog.pg_opclass
  UNION ALL SELECT 'pg_catalog.pg_collation'::regclass, oid, collnamespace FROM pg_catalog.pg_collation
  UNION ALL SELECT 'pg_catalog.pg_ts_config'::regclass, oid, cfgnamespace FROM pg_catalog.pg_ts_config
  UNION ALL SELECT 'pg_catalog.pg_constraint'::regclass, oid, connamespace FROM pg_catalog.pg_constraint
  UNION ALL SELECT 'pg_catalog.pg_attrdef'::regclass, a.oid, c.relnamespace
            FROM pg_catalog.pg_attrdef AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.adrelid
  UNION ALL SELECT 'pg_catalog.pg_trigger'::regclass, t.oid, c.relnamespace
            FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
  UNION ALL SELECT 'pg_catalog.pg_rewrite'::regclass, w.oid, c.relnamespace
            FROM pg_catalog.pg_rewrite AS w JOIN pg_catalog.pg_class AS c ON c.oid = w.ev_class
  UNION ALL SELECT 'pg_catalog.pg_policy'::regclass, p.oid, c.relnamespace
            FROM pg_catalog.pg_policy AS p JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid
  UNION ALL SELECT 'pg_catalog.pg_event_trigger'::regclass, oid, 0 FROM pg_catalog.pg_event_trigger
)
SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0), pg_describe_object(d.refclassid, d.refobjid, 0)
FROM pg_catalog.pg_depend AS d
JOIN thing AS mine ON mine.classid = d.classid AND mine.objid = d.objid
JOIN thing AS other ON other.classid = d.refclassid AND other.objid = d.refobjid
WHERE other.namespace IN (SELECT oid FROM left_out)
  AND mine.namespace NOT IN (SELECT oid FROM left_out)
  -- TOAST tables and the like belong to something that is looked at itself.
  AND mine.namespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_')
UNION
SELECT format('extension %%s', e.extname), format('schema %%I', n.nspname)
FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
WHERE n.oid IN (SELECT oid FROM left_out)
ORDER BY 1, 2
