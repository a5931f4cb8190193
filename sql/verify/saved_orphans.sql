-- steps: 1
-- means: a saved value has lost its row; a new row with the same id could get it. The next run of callctl deletes it first
-- mends: run the statement beside it, or let the next callctl migrate up or down delete it

-- check (warns): saved-values-orphans: the row of every saved value exists
SELECT s.relation, s.field, s.row_id, format('DELETE FROM callctl.saved_value WHERE id = %s;', s.id) AS statement
FROM callctl.saved_value AS s
LEFT JOIN chatapp.users AS u ON u.id = s.user_id
LEFT JOIN chatapp.companies AS o ON o.id = s.company_id
LEFT JOIN chatapp.chatbots AS b ON b.id = s.chatbot_id
LEFT JOIN chatapp.chatbot_packages AS p ON p.id = s.chatbot_package_id
LEFT JOIN chatapp.ai_models AS m ON m.id = s.ai_model_id
WHERE s.user_id IS NOT NULL AND u.id IS NULL OR s.company_id IS NOT NULL AND o.id IS NULL
   OR s.chatbot_id IS NOT NULL AND b.id IS NULL OR s.chatbot_package_id IS NOT NULL AND p.id IS NULL
   OR s.ai_model_id IS NOT NULL AND m.id IS NULL;

-- check (warns): inheritance-orphans: every chatbot that is recorded as breaking the inheritance rule exists
SELECT r.chatbot_id, format('DELETE FROM callctl.inheritance_breach WHERE chatbot_id = %L;', r.chatbot_id) AS statement
FROM callctl.inheritance_breach AS r
LEFT JOIN chatapp.chatbots AS b ON b.id = r.chatbot_id
WHERE r.chatbot_id IS NOT NULL AND b.id IS NULL;
