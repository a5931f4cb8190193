-- The statement that makes an empty copy of a table, for this session alone and under the same name: columns, and where %(keys)s
-- the indexes that a foreign key needs. It locks the table ACCESS SHARE. And whether this role, which is it, may refer to the
-- table by a foreign key. %(table)s is the table as SQL names it; no row: there is none.
SELECT format('CREATE TEMPORARY TABLE pg_temp.%%I (LIKE %%I.%%I INCLUDING GENERATED%%s)', c.relname, n.nspname, c.relname,
              CASE WHEN %(keys)s THEN ' INCLUDING INDEXES' ELSE '' END) AS ddl,
       has_table_privilege(c.oid, 'REFERENCES') OR has_any_column_privilege(c.oid, 'REFERENCES') AS may_refer,
       current_user::text AS role
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass(%(table)s)
