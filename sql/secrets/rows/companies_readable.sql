-- Whether this role can read the companies: %(schema)s
SELECT coalesce(has_table_privilege(to_regclass(format('%%I.companies', %(schema)s::text))::oid, 'SELECT'), false)
