-- steps: 2-4
-- pending: 6

-- A hybrid is no call bot and its type says 'chat'; a type that nobody documented, or none, counts as 'chat'.
-- check: chatbot-forms-agree: while the type column exists, every chatbot's type says call where its flags say call alone
SELECT id, chatbotType, enabled_chat, enabled_call FROM chatapp.chatbots
WHERE COALESCE(chatbotType = 'call', false) <> (enabled_call AND NOT enabled_chat);

-- Step 3 proves that the trigger is there; this, that it sees every write to either form before the row is stored.
-- check: chatbot-forms-watched: the trigger that keeps type and flags in step runs before each insert and each update of one
SELECT pg_get_triggerdef(t.oid) AS definition, t.tgenabled AS enabled
FROM (VALUES ('chatapp.chatbots'::regclass, 'chatbottype'::name)) AS watched (relation, type_column)
JOIN pg_class AS c ON c.oid = watched.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_trigger AS t ON t.tgrelid = c.oid AND t.tgname = 'callctl_sync_capabilities'
LEFT JOIN pg_proc AS p ON p.oid = t.tgfoid AND p.pronamespace = 'callctl'::regnamespace
WHERE p.oid IS NULL
   OR t.tgenabled NOT IN ('O', 'A')
   OR strpos(pg_get_triggerdef(t.oid), format(
        'CREATE TRIGGER callctl_sync_capabilities BEFORE INSERT OR UPDATE OF %I, enabled_chat, enabled_call ON %I.%I FOR EACH ROW EXECUTE FUNCTION ',
        watched.type_column, n.nspname, c.relname)) <> 1
   OR t.tgnargs > 0 AND pg_get_triggerdef(t.oid) NOT LIKE
        '%' || format('(%L, ''enabled_chat'', ''enabled_call'')', watched.type_column);

-- check (warns): call-settings-awaited: no call-enabled chatbot is without call settings until step 6 gives it the defaults
SELECT id FROM chatapp.chatbots
WHERE enabled_call AND COALESCE(settings -> 'call', '{}') IN ('{}', 'null')
  AND (SELECT h.direction FROM callctl.history AS h WHERE h.step = 12 ORDER BY h.id DESC LIMIT 1) = 'up';
