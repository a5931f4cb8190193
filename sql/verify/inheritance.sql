-- steps: 6
-- means: a customer has a capability that was not paid for
-- mends: UPDATE the chatbot's flags or its package, as the customer's contract has it

-- The packages that leave something out, and the chatbots recorded, are few: each list becomes a hash table.
-- check: inheritance: no chatbot has a capability that its package does not allow, save those recorded when the rule arrived
SELECT c.id AS chatbot, c.package_id AS package FROM chatapp.chatbots AS c
WHERE (c.enabled_call AND c.package_id IN (SELECT p.id FROM chatapp.chatbot_packages AS p WHERE NOT p.enable_call)
       OR c.enabled_chat AND c.package_id IN (SELECT p.id FROM chatapp.chatbot_packages AS p WHERE NOT p.enable_chat))
  AND c.id NOT IN (SELECT b.chatbot_id FROM callctl.inheritance_breach AS b);
