-- Saved values go with their row: those of rows that the platform has deleted since are deleted too. So is what
-- seed-models wrote into models that are neither there nor put away.

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

DELETE FROM callctl.seeded_model AS s
WHERE NOT EXISTS (SELECT FROM chatapp.ai_models AS t WHERE t.id = s.model_id)
  AND NOT EXISTS (SELECT FROM callctl.saved_row AS r WHERE r.relation = 'ai_models' AND r.row_id = s.model_id);
