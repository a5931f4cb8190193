-- steps: 6
-- means: a customer has a capability that was not paid for
-- mends: UPDATE the chatbot's flags or its package, as the customer's contract has it

-- check: inheritance: no chatbot has a capability that its package does not allow, save those recorded when the rule arrived
SELECT c.id AS chatbot, p.id AS package FROM chatapp.chatbots AS c
LEFT JOIN chatapp.chatbot_packages AS p ON p.id = c.package_id
WHERE p.id IS NOT NULL AND (c.enabled_chat AND NOT p.enable_chat OR c.enabled_call AND NOT p.enable_call)
  AND NOT EXISTS (SELECT FROM callctl.inheritance_breach AS b WHERE b.chatbot_id = c.id);
