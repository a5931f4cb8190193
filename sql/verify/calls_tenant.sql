-- steps: 9-10
-- means: a customer sees and pays for a call of another customer
-- fix: no command of callctl: find out which company the call belongs to, and UPDATE its company_id or the reference

-- The document's third integrity test can't fail, because a foreign key ensures it. The owner of the row can still be wrong.
-- check: calls-one-tenant: a call, its chatbot, end user, conversation and account belong to one company
SELECT c.id AS call, c.company_id, b.company_id AS of_chatbot, e.company_id AS of_end_user, v.company_id AS of_conversation,
       a.company_id AS of_account
FROM chatapp.calls AS c
LEFT JOIN chatapp.chatbots AS b ON b.id = c.chatbot_id
LEFT JOIN chatapp.end_users AS e ON e.id = c.end_user_id
LEFT JOIN chatapp.conversations AS v ON v.id = c.conversation_id
LEFT JOIN chatapp.integration_accounts AS a ON a.id = c.integration_account_id
WHERE c.company_id <> b.company_id OR c.company_id <> e.company_id OR c.company_id <> v.company_id OR c.company_id <> a.company_id;
