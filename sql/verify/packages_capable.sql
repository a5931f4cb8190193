-- steps: 2-4
-- means: the chatbots of such a package can do nothing
-- fix: UPDATE the package: set enable_chat or enable_call

-- check: packages-capable: every package, deleted or not, allows chat or call
SELECT p.id, p.enable_chat, p.enable_call FROM chatapp.chatbot_packages AS p
WHERE NOT COALESCE(p.enable_chat OR p.enable_call, false);
