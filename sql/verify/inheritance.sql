-- steps: 6
-- means: a customer has a capability that was not paid for
-- fix: UPDATE the chatbot's flags or its package, as the customer's contract says

-- Few packages exclude a capability, and few chatbots are recorded: each list becomes a hash table.
-- check: inheritance: no chatbot has a capability that its package does not allow, except those recorded at migration time
SELECT c.id AS chatbot, c.package_id AS package FROM chatapp.chatbots AS c
WHERE (c.enabled_call AND c.package_id IN (SELECT p.id FROM chatapp.chatbot_packages AS p WHERE NOT p.enable_call)
       OR c.enabled_chat AND c.package_id IN (SELECT p.id FROM chatapp.chatbot_packages AS p WHERE NOT p.enable_chat))
  AND c.id NOT IN (SELECT b.chatbot_id FROM callctl.inheritance_breach AS b);
