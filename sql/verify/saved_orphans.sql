-- steps: 1
-- means: the row of a saved value was deleted; a new row with the same id could get the value. The next run of callctl deletes the value
-- fix: run the statement in the row, or let the next callctl migrate up or down delete it

-- Each table by itself, along the index of its saved values: for a table with few saved values, only those rows are looked up.
-- check (warns): saved-values-orphans: the row of every saved value exists
SELECT s.relation, s.field, s.row_id, format('DELETE FROM callctl.saved_value WHERE id = %s;', s.id) AS statement
FROM (
  SELECT v.* FROM callctl.saved_value AS v
  WHERE v.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM chatapp.users AS r WHERE r.id = v.user_id)
  UNION ALL
  SELECT v.* FROM callctl.saved_value AS v
  WHERE v.company_id IS NOT NULL AND NOT EXISTS (SELECT FROM chatapp.companies AS r WHERE r.id = v.company_id)
  UNION ALL
  SELECT v.* FROM callctl.saved_value AS v
  WHERE v.chatbot_id IS NOT NULL AND NOT EXISTS (SELECT FROM chatapp.chatbots AS r WHERE r.id = v.chatbot_id)
  UNION ALL
  SELECT v.* FROM callctl.saved_value AS v
  WHERE v.chatbot_package_id IS NOT NULL AND NOT EXISTS (SELECT FROM chatapp.chatbot_packages AS r WHERE r.id = v.chatbot_package_id)
  UNION ALL
  SELECT v.* FROM callctl.saved_value AS v
  WHERE v.ai_model_id IS NOT NULL AND NOT EXISTS (SELECT FROM chatapp.ai_models AS r WHERE r.id = v.ai_model_id)
) AS s;

-- check (warns): inheritance-orphans: every chatbot that is recorded as breaking the inheritance rule exists
SELECT r.chatbot_id, format('DELETE FROM callctl.inheritance_breach WHERE chatbot_id = %L;', r.chatbot_id) AS statement
FROM callctl.inheritance_breach AS r
LEFT JOIN chatapp.chatbots AS b ON b.id = r.chatbot_id
WHERE r.chatbot_id IS NOT NULL AND b.id IS NULL;
