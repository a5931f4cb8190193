-- Step 6 down: chatbots gets its type column again, and it says what the flags say.
-- Specification: L195-232, L3276-3283. The column is there already where callctl has written down what it was.

ALTER TABLE chatapp.chatbots ADD COLUMN IF NOT EXISTS chatbotType VARCHAR(50) DEFAULT 'chat';

-- callctl: batched
UPDATE chatapp.chatbots SET chatbotType = 'call'
WHERE enabled_call AND NOT enabled_chat AND chatbotType IS DISTINCT FROM 'call';
