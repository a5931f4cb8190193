-- steps: 6
-- fast: yes
-- means: saving a chatbot fails: the function of the inheritance rule may not read the package
-- fix: run the statement in the row, or GRANT the function's owner SELECT and UPDATE on the packages and USAGE on their schema

-- The function runs as its owner, and FOR SHARE needs the UPDATE privilege as well.
-- check: inheritance-rule-may-read: the owner of the inheritance rule's function may read and lock packages
SELECT p.oid::regprocedure AS function, pg_get_userbyid(p.proowner) AS owner,
       format('ALTER FUNCTION %s OWNER TO %I;', p.oid::regprocedure, pg_get_userbyid(c.relowner)) AS statement
FROM (VALUES ('chatapp.chatbot_packages'::regclass)) AS packages (relation)
JOIN pg_class AS c ON c.oid = packages.relation
JOIN pg_proc AS p ON p.pronamespace = c.relnamespace AND p.proname = 'check_chatbot_capabilities'
WHERE NOT (has_schema_privilege(p.proowner, c.relnamespace, 'USAGE')
           AND has_table_privilege(p.proowner, c.oid, 'SELECT') AND has_any_column_privilege(p.proowner, c.oid, 'UPDATE'));
