-- steps: 6

-- check: inheritance: no chatbot has a capability that its package does not allow, save those recorded when the rule arrived
SELECT c.id AS chatbot, p.id AS package
FROM chatapp.chatbots AS c
JOIN chatapp.chatbot_packages AS p ON p.id = c.package_id
LEFT JOIN callctl.inheritance_breach AS b ON b.chatbot_id = c.id
WHERE ((c.enabled_chat AND NOT p.enable_chat) OR (c.enabled_call AND NOT p.enable_call))
  AND b.chatbot_id IS NULL;

-- check (warns): inheritance-recorded: no chatbot still breaks the inheritance rule that it broke when the rule arrived
SELECT c.id AS chatbot, p.id AS package
FROM chatapp.chatbots AS c
JOIN chatapp.chatbot_packages AS p ON p.id = c.package_id
JOIN callctl.inheritance_breach AS b ON b.chatbot_id = c.id
WHERE (c.enabled_chat AND NOT p.enable_chat) OR (c.enabled_call AND NOT p.enable_call);
