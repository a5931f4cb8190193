-- Step 5 down: chatbot_packages gets its type column again, and it says what the flags say.
-- Specification: L195-232, L3276-3283. The column is there already where callctl has written down what it was.

ALTER TABLE chatapp.chatbot_packages ADD COLUMN IF NOT EXISTS chatbotType VARCHAR(50) DEFAULT 'chat';

-- callctl: batched
UPDATE chatapp.chatbot_packages SET chatbotType = 'call'
WHERE enable_call AND NOT enable_chat AND chatbotType IS DISTINCT FROM 'call';
