-- steps: 6
-- means: a customer keeps a capability that the package does not allow, as before the migration
-- fix: ask the customer, then UPDATE the chatbot's flags or its package

-- The query is in the words of inheritance.sql, so that one scan does both.
-- check (warns): inheritance-recorded: no chatbot that broke the package rule at migration time still breaks it
SELECT c.id AS chatbot, (SELECT b.recorded_at FROM callctl.inheritance_breach AS b WHERE b.chatbot_id = c.id) AS recorded_at
FROM chatapp.chatbots AS c
WHERE (c.enabled_call AND c.package_id IN (SELECT p.id FROM chatapp.chatbot_packages AS p WHERE NOT p.enable_call)
       OR c.enabled_chat AND c.package_id IN (SELECT p.id FROM chatapp.chatbot_packages AS p WHERE NOT p.enable_chat))
  AND c.id IN (SELECT b.chatbot_id FROM callctl.inheritance_breach AS b);
