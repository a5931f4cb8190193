-- Step 6, given up before its drop: both forms stay, kept in step by their triggers, and the step is pending again.

ALTER TABLE chatapp.chatbots DROP CONSTRAINT IF EXISTS callctl_forms_agree;

DELETE FROM callctl.proof WHERE relation = 'chatbots';

DELETE FROM callctl.checkpoint WHERE step = 6;
