-- The triggers of these tables that a row fires, and what the function of each is written with: by that it is told whether it
-- can lock a table. (tgtype: PostgreSQL's catalog/pg_trigger.h; 4 INSERT, 8 DELETE, 16 UPDATE, 32 TRUNCATE.)
SELECT g.tgrelid::bigint AS relation, g.tgname AS name, g.tgenabled <> 'D' AS enabled,
       g.tgtype & 4 > 0 AS on_insert, g.tgtype & 8 > 0 AS on_delete, g.tgtype & 16 > 0 AS on_update,
       s.nspname AS function_schema, p.proname AS function, l.lanname AS language, p.prosrc AS body
FROM pg_trigger AS g JOIN pg_proc AS p ON p.oid = g.tgfoid JOIN pg_namespace AS s ON s.oid = p.pronamespace
JOIN pg_language AS l ON l.oid = p.prolang
WHERE NOT g.tgisinternal
