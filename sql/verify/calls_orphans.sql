-- steps: 9-10
-- means: a call names a company, chatbot, end user, conversation or account that does not exist, so lists leave it out or fail
-- fix: restore the missing row from a backup; or run the statement in the row: it applies the ON DELETE action of the foreign key

-- A foreign key is checked when a row is written. If its triggers were off, only a scan finds the rows without a parent.
-- The joins are those of calls_tenant.sql, so that one scan does both.
-- check: calls-orphans: every company, chatbot, end user, conversation and account that a call names exists
SELECT c.id AS call,
       concat_ws(', ', CASE WHEN c.company_id IS NOT NULL AND o.id IS NULL THEN 'company_id' END,
                 CASE WHEN c.chatbot_id IS NOT NULL AND b.id IS NULL THEN 'chatbot_id' END,
                 CASE WHEN c.end_user_id IS NOT NULL AND e.id IS NULL THEN 'end_user_id' END,
                 CASE WHEN c.conversation_id IS NOT NULL AND v.id IS NULL THEN 'conversation_id' END,
                 CASE WHEN c.integration_account_id IS NOT NULL AND a.id IS NULL THEN 'integration_account_id' END) AS names_no_row,
       CASE WHEN c.company_id IS NOT NULL AND o.id IS NULL OR c.chatbot_id IS NOT NULL AND b.id IS NULL
            THEN format('DELETE FROM %s WHERE id = %L;', c.tableoid::regclass, c.id)
            ELSE format('UPDATE %s SET %s WHERE id = %L;', c.tableoid::regclass,
                        concat_ws(', ', CASE WHEN c.end_user_id IS NOT NULL AND e.id IS NULL THEN 'end_user_id = NULL' END,
                                  CASE WHEN c.conversation_id IS NOT NULL AND v.id IS NULL THEN 'conversation_id = NULL' END,
                                  CASE WHEN c.integration_account_id IS NOT NULL AND a.id IS NULL
                                       THEN 'integration_account_id = NULL' END), c.id) END AS statement
FROM chatapp.calls AS c
LEFT JOIN chatapp.chatbots AS b ON b.id = c.chatbot_id
LEFT JOIN chatapp.end_users AS e ON e.id = c.end_user_id
LEFT JOIN chatapp.conversations AS v ON v.id = c.conversation_id
LEFT JOIN chatapp.integration_accounts AS a ON a.id = c.integration_account_id
LEFT JOIN chatapp.companies AS o ON o.id = c.company_id
WHERE c.company_id IS NOT NULL AND o.id IS NULL OR c.chatbot_id IS NOT NULL AND b.id IS NULL
   OR c.end_user_id IS NOT NULL AND e.id IS NULL OR c.conversation_id IS NOT NULL AND v.id IS NULL
   OR c.integration_account_id IS NOT NULL AND a.id IS NULL;
