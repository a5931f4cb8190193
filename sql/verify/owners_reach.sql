-- steps: 9
-- fast: yes
-- means: deleting a company, a chatbot, an end user or a conversation fails, and so does changing its id
-- fix: run the statement in the row

-- A foreign key changes the dependent rows as the owner of their table (PostgreSQL manual, 5.5.5), and names that table by its
-- schema.
-- check: owners-reach-their-tables: the owner of each table of the migration may use the schema that the table is in
SELECT c.oid::regclass AS table, pg_get_userbyid(c.relowner) AS owner,
       format('GRANT USAGE ON SCHEMA %s TO %I;', c.relnamespace::regnamespace, pg_get_userbyid(c.relowner)) AS statement
FROM pg_class AS c
WHERE c.relkind IN ('r', 'p')
  AND (c.relnamespace = 'callctl'::regnamespace
       OR c.relnamespace = 'chatapp'::regnamespace AND c.relname IN ('integration_accounts', 'calls', 'call_transcripts'))
  AND NOT has_schema_privilege(c.relowner, c.relnamespace, 'USAGE')
ORDER BY 1;
