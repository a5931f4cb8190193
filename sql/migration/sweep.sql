-- Rows that were deleted past every trigger (a replica's writer, triggers switched off) left behind what callctl saved of
-- them; it is deleted here. So is what seed-models wrote into models that are neither there nor put away, and which models
-- were made inactive.

DELETE FROM callctl.saved_value AS s
WHERE s.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM chatapp.users AS t WHERE t.id = s.user_id);

DELETE FROM callctl.saved_value AS s
WHERE s.company_id IS NOT NULL AND NOT EXISTS (SELECT FROM chatapp.companies AS t WHERE t.id = s.company_id);

DELETE FROM callctl.saved_value AS s
WHERE s.chatbot_id IS NOT NULL AND NOT EXISTS (SELECT FROM chatapp.chatbots AS t WHERE t.id = s.chatbot_id);

DELETE FROM callctl.saved_value AS s
WHERE s.chatbot_package_id IS NOT NULL AND NOT EXISTS (SELECT FROM chatapp.chatbot_packages AS t WHERE t.id = s.chatbot_package_id);

DELETE FROM callctl.saved_value AS s
WHERE s.ai_model_id IS NOT NULL AND NOT EXISTS (SELECT FROM chatapp.ai_models AS t WHERE t.id = s.ai_model_id);

DELETE FROM callctl.inheritance_breach AS b
WHERE NOT EXISTS (SELECT FROM chatapp.chatbots AS t WHERE t.id = b.chatbot_id);

DELETE FROM callctl.seeded_model AS s
WHERE NOT EXISTS (SELECT FROM chatapp.ai_models AS t WHERE t.id = s.model_id)
  AND NOT EXISTS (SELECT FROM callctl.saved_row AS r WHERE r.relation = 'ai_models' AND r.row_id = s.model_id);

DELETE FROM callctl.withheld_model AS w
WHERE NOT EXISTS (SELECT FROM chatapp.ai_models AS t WHERE t.id = w.model_id);
