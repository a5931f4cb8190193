-- How many rows the batched statements of a file will write, asked of the tables as they are before the run. By then the columns
-- that an earlier step adds or fills, and callctl's own tables, may not be there: so each file's statements in order, in other
-- words. Above each query is its file. A file that is not here is asked by its own statements.

-- steps/04_backfill_capabilities/up.sql
SELECT p.id FROM chatapp.chatbot_packages AS p WHERE p.chatbotType = 'call';

-- steps/04_backfill_capabilities/up.sql
SELECT c.id FROM chatapp.chatbots AS c WHERE c.chatbotType = 'call';

-- steps/04_backfill_capabilities/after_up.sql
SELECT s.row_id FROM callctl.saved_value AS s
WHERE s.field = 'capabilities' AND s.chatbot_package_id IS NOT NULL AND s.saved_by = 'down' AND s.superseded_at IS NULL;

-- steps/04_backfill_capabilities/after_up.sql
SELECT s.row_id FROM callctl.saved_value AS s
WHERE s.field = 'capabilities' AND s.chatbot_id IS NOT NULL AND s.saved_by = 'down' AND s.superseded_at IS NULL;

-- steps/05_drop_package_type/before_up.sql
SELECT p.id FROM chatapp.chatbot_packages AS p WHERE (p.chatbotType IN ('chat', 'call')) IS NOT TRUE;

-- steps/06_drop_chatbot_type/before_up.sql
SELECT c.id FROM chatapp.chatbots AS c WHERE (c.chatbotType IN ('chat', 'call')) IS NOT TRUE;

-- steps/06_drop_chatbot_type/after_up.sql
SELECT c.id FROM chatapp.chatbots AS c JOIN chatapp.chatbot_packages AS p ON p.id = c.package_id
WHERE COALESCE(c.chatbotType = 'call', false) <> COALESCE(p.chatbotType = 'call', false);

-- steps/06_drop_chatbot_type/after_up.sql
SELECT c.id FROM chatapp.chatbots AS c WHERE false;

-- steps/12_company_settings/before_up.sql
SELECT c.id FROM chatapp.companies AS c WHERE jsonb_typeof(c.settings #> '{features,callEnabled}') = 'boolean';

-- steps/12_company_settings/before_up.sql
SELECT c.id FROM chatapp.chatbots AS c WHERE c.settings IS NULL OR c.settings -> 'call' IS NOT NULL;

-- steps/12_company_settings/up.sql
SELECT c.id FROM chatapp.companies AS c WHERE c.settings #> '{features,callEnabled}' IS NULL;

-- steps/12_company_settings/up.sql
SELECT c.id FROM chatapp.chatbots AS c
WHERE c.chatbotType = 'call' AND COALESCE(c.settings -> 'call', '{}') IN ('{}', 'null');

-- steps/06_drop_chatbot_type/down.sql
SELECT c.id FROM chatapp.chatbots AS c WHERE c.enabled_call AND NOT c.enabled_chat;

-- steps/06_drop_chatbot_type/after_down.sql
SELECT s.row_id FROM callctl.saved_value AS s
WHERE s.field = 'chatbot_type' AND s.chatbot_id IS NOT NULL AND s.saved_by = 'up' AND s.superseded_at IS NULL;

-- steps/05_drop_package_type/down.sql
SELECT p.id FROM chatapp.chatbot_packages AS p WHERE p.enable_call AND NOT p.enable_chat;

-- steps/05_drop_package_type/after_down.sql
SELECT s.row_id FROM callctl.saved_value AS s
WHERE s.field = 'chatbot_type' AND s.chatbot_package_id IS NOT NULL AND s.saved_by = 'up' AND s.superseded_at IS NULL;

-- steps/03_chatbot_capabilities/before_down.sql
SELECT c.id FROM chatapp.chatbots AS c WHERE false;

-- steps/03_chatbot_capabilities/before_down.sql
SELECT c.id FROM chatapp.chatbots AS c WHERE c.enabled_chat AND c.enabled_call;

-- steps/02_package_capabilities/before_down.sql
SELECT p.id FROM chatapp.chatbot_packages AS p WHERE false;

-- steps/02_package_capabilities/before_down.sql
SELECT p.id FROM chatapp.chatbot_packages AS p WHERE p.enable_chat AND p.enable_call;

-- steps/01_users_avatar_url/down_shadow.sql
SELECT u.id FROM chatapp.users AS u WHERE u.avatar_url IS NOT NULL;

-- steps/12_company_settings/after_up.sql
SELECT s.row_id FROM callctl.saved_value AS s
WHERE s.field = 'settings.features.callEnabled' AND s.saved_by = 'down' AND s.superseded_at IS NULL AND s.value <> s.left_there;

-- steps/12_company_settings/after_up.sql
SELECT s.row_id FROM callctl.saved_value AS s
WHERE s.field = 'settings.call' AND s.saved_by = 'down' AND s.superseded_at IS NULL AND s.value <> s.left_there;
