-- steps: 6
-- means: a customer keeps a capability that the package does not allow, as before the migration
-- mends: UPDATE the chatbot's flags or its package when the customer has been asked

-- check (warns): inheritance-recorded: no chatbot still breaks the inheritance rule that it broke when the rule arrived
SELECT c.id AS chatbot, p.id AS package FROM chatapp.chatbots AS c
LEFT JOIN chatapp.chatbot_packages AS p ON p.id = c.package_id
WHERE p.id IS NOT NULL AND (c.enabled_chat AND NOT p.enable_chat OR c.enabled_call AND NOT p.enable_call)
  AND EXISTS (SELECT FROM callctl.inheritance_breach AS b WHERE b.chatbot_id = c.id);
