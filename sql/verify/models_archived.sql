-- steps: 13
-- fast: yes
-- means: a model for calls from before a rollback is missing
-- fix: run callctl migrate down --to 12, then callctl migrate up

-- While chatbots has its type column, models may wait for step 6, which inserts them.
-- check: no-model-waits: no model waits in the store to be restored, or it waits for step 6
SELECT r.relation, r.row_id FROM callctl.saved_row AS r
WHERE r.superseded_at IS NULL
  AND NOT EXISTS (
    SELECT FROM pg_attribute AS a
    WHERE a.attrelid = 'chatapp.chatbots'::regclass AND lower(a.attname) IN ('chatbottype', 'chatbot_type') AND NOT a.attisdropped);
