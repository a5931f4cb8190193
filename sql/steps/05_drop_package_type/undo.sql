-- Step 5, given up before its drop: both forms stay, kept in step by their triggers, and the step is pending again.

ALTER TABLE chatapp.chatbot_packages DROP CONSTRAINT IF EXISTS callctl_forms_agree;

DELETE FROM callctl.proof WHERE relation = 'chatbot_packages';

DELETE FROM callctl.checkpoint WHERE step = 5;
