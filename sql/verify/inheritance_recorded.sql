-- steps: 6
-- means: a customer keeps a capability that the package does not allow, as before the migration
-- mends: UPDATE the chatbot's flags or its package when the customer has been asked

-- check (warns): inheritance-recorded: no chatbot still breaks the inheritance rule that it broke when the rule arrived
SELECT b.chatbot_id AS chatbot, b.recorded_at FROM callctl.inheritance_breach AS b
WHERE EXISTS (
  SELECT FROM chatapp.chatbots AS c
  JOIN chatapp.chatbot_packages AS p ON p.id = c.package_id
  WHERE c.id = b.chatbot_id AND (c.enabled_chat AND NOT p.enable_chat OR c.enabled_call AND NOT p.enable_call));
