-- steps: 9-11
-- fast: yes
-- means: the application gets "permission denied" at its first call: a new table has no grants of its own
-- fix: run the GRANT in the row, if that role works with calls

-- A role's privileges from a grant on chatbots should also hold on the three tables, however it gets them: its own grant, a
-- role it is a member of, or PUBLIC. A role that reads other tables of the platform under row-level security is left out: the
-- policies of the new tables decide what it may read. Accounts hold secrets, so PUBLIC gets no access to them (secrets-closed).
-- check (warns): new-tables-granted: every role that may use chatbots may use the three new tables in the same way
SELECT CASE WHEN granted.grantee = 0 THEN 'public' ELSE pg_get_userbyid(granted.grantee)::text END AS role,
       format('GRANT %s ON %s TO %s', string_agg(granted.privilege_type, ', ' ORDER BY granted.privilege_type), made.oid::regclass,
              CASE WHEN granted.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(granted.grantee)::text) END) AS statement
FROM pg_class AS chatbots
CROSS JOIN LATERAL aclexplode(chatbots.relacl) AS granted
JOIN pg_class AS made ON made.relnamespace = chatbots.relnamespace AND made.relkind IN ('r', 'p')
                     AND made.relname IN ('integration_accounts', 'calls', 'call_transcripts')
WHERE chatbots.relnamespace = 'chatapp'::regnamespace AND chatbots.relname = 'chatbots'
  AND granted.grantee <> chatbots.relowner
  AND (granted.grantee <> 0 OR made.relname <> 'integration_accounts')
  AND NOT EXISTS (
    SELECT FROM pg_class AS c LEFT JOIN pg_roles AS r ON r.oid = granted.grantee
    WHERE c.relnamespace = chatbots.relnamespace AND c.relrowsecurity
      AND c.relname NOT IN ('integration_accounts', 'calls', 'call_transcripts')
      AND (r.oid IS NULL OR NOT (r.rolsuper OR r.rolbypassrls) AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE'))))
  AND granted.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  AND NOT CASE WHEN granted.grantee = 0
      THEN EXISTS (SELECT FROM aclexplode(made.relacl) AS own WHERE own.grantee = 0 AND own.privilege_type = granted.privilege_type)
      ELSE has_table_privilege(granted.grantee, made.oid, granted.privilege_type) END
GROUP BY granted.grantee, made.oid
ORDER BY 1, made.oid::regclass::text;
