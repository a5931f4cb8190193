-- steps: 9-11
-- fast: yes
-- means: no role but the owner reads or writes that table, so the application finds no calls, or cannot record one
-- mends: CREATE POLICY on that table, as chatbots and companies have policies

-- check (warns): new-tables-policies: every new table with row-level security has a policy
SELECT c.oid::regclass AS table, pg_get_userbyid(c.relowner) AS only_reader
FROM pg_class AS c
WHERE c.relnamespace = 'chatapp'::regnamespace AND c.relname IN ('integration_accounts', 'calls', 'call_transcripts')
  AND c.relrowsecurity
  AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid);
