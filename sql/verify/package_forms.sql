-- steps: 2-4
-- pending: 5

-- A hybrid is no call bot and its type says 'chat'; a type that nobody documented, or none, counts as 'chat'.
-- check: package-forms-agree: while the type column exists, every package's type says call where its flags say call alone
SELECT id, chatbotType, enable_chat, enable_call FROM chatapp.chatbot_packages
WHERE COALESCE(chatbotType = 'call', false) <> (enable_call AND NOT enable_chat);

-- Step 2 proves that the trigger is there; this, that it sees every write to either form before the row is stored.
-- check: package-forms-watched: the trigger that keeps type and flags in step runs before each insert and each update of one
SELECT pg_get_triggerdef(t.oid) AS definition, t.tgenabled AS enabled
FROM (VALUES ('chatapp.chatbot_packages'::regclass, 'chatbottype'::name)) AS watched (relation, type_column)
JOIN pg_class AS c ON c.oid = watched.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_trigger AS t ON t.tgrelid = c.oid AND t.tgname = 'callctl_sync_capabilities'
LEFT JOIN pg_proc AS p ON p.oid = t.tgfoid AND p.pronamespace = 'callctl'::regnamespace
WHERE p.oid IS NULL
   OR t.tgenabled NOT IN ('O', 'A')
   OR strpos(pg_get_triggerdef(t.oid), format(
        'CREATE TRIGGER callctl_sync_capabilities BEFORE INSERT OR UPDATE OF %I, enable_chat, enable_call ON %I.%I FOR EACH ROW EXECUTE FUNCTION ',
        watched.type_column, n.nspname, c.relname)) <> 1
   OR t.tgnargs > 0 AND pg_get_triggerdef(t.oid) NOT LIKE
        '%' || format('(%L, ''enable_chat'', ''enable_call'')', watched.type_column);
