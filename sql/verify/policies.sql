-- steps: 9-11
-- fast: yes
-- means: only the owner can read and write that table, so the application finds no calls, or cannot record one
-- fix: CREATE POLICY on that table, like the policies of chatbots and companies

-- check (warns): new-tables-policies: every new table with row-level security has a policy
SELECT c.oid::regclass AS table, pg_get_userbyid(c.relowner) AS only_reader
FROM pg_class AS c
WHERE c.relnamespace = 'chatapp'::regnamespace AND c.relname IN ('integration_accounts', 'calls', 'call_transcripts')
  AND c.relrowsecurity
  AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid);
