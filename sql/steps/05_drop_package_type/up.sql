-- Step 5: chatbot_packages loses its type column. From here on code that names it fails.
-- Specification: L159-167.

-- callctl: commit
ALTER TABLE chatapp.chatbot_packages DROP COLUMN chatbotType;
