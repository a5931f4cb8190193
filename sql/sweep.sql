-- Saved values go with their row: those of rows that the platform has deleted since are deleted too.

DELETE FROM callctl.saved_value AS s
WHERE s.relation = 'users' AND NOT EXISTS (SELECT FROM chatapp.users AS t WHERE t.id = s.row_id);

DELETE FROM callctl.saved_value AS s
WHERE s.relation = 'companies' AND NOT EXISTS (SELECT FROM chatapp.companies AS t WHERE t.id = s.row_id);

DELETE FROM callctl.saved_value AS s
WHERE s.relation = 'chatbots' AND NOT EXISTS (SELECT FROM chatapp.chatbots AS t WHERE t.id = s.row_id);

DELETE FROM callctl.saved_value AS s
WHERE s.relation = 'chatbot_packages' AND NOT EXISTS (SELECT FROM chatapp.chatbot_packages AS t WHERE t.id = s.row_id);

DELETE FROM callctl.saved_value AS s
WHERE s.relation = 'ai_models' AND NOT EXISTS (SELECT FROM chatapp.ai_models AS t WHERE t.id = s.row_id);

DELETE FROM callctl.inheritance_breach AS b
WHERE NOT EXISTS (SELECT FROM chatapp.chatbots AS t WHERE t.id = b.chatbot_id);
