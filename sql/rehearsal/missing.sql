-- Those of the tables that the rehearsal's database does not have. %(schemas)s, %(tables)s
SELECT w.schema, w.name FROM unnest(%(schemas)s::text[], %(tables)s::text[]) AS w(schema, name)
WHERE to_regclass(format('%%I.%%I', w.schema, w.name)) IS NULL
ORDER BY 1, 2
