-- steps: 2-4

-- check: packages-capable: every package, deleted or not, allows chat or call
SELECT id, enable_chat, enable_call FROM chatapp.chatbot_packages
WHERE NOT COALESCE(enable_chat OR enable_call, false);

-- check: chatbots-capable: every chatbot, deleted or not, handles chat or call
SELECT id, name, enabled_chat, enabled_call FROM chatapp.chatbots
WHERE NOT COALESCE(enabled_chat OR enabled_call, false);
