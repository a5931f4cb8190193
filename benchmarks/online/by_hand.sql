-- The thirteen steps as a careful DBA writes them for this one database: the same work, online, one session, no journal.
-- Nothing is resumed, checked against other writers, or taken back; who stops in the middle goes on by hand.
-- The three tables, their indexes and the models of steps 9 to 11 and 13 are the document's own statements, put in at the end.

CREATE TABLE chatapp.old_values (row_id uuid, field text, value jsonb, PRIMARY KEY (field, row_id));
CREATE TABLE chatapp.rule_breaches (chatbot_id uuid PRIMARY KEY);

-- Step 1
ALTER TABLE chatapp.users ALTER COLUMN avatar_url TYPE text;
ANALYZE chatapp.users (avatar_url);

-- Steps 2 and 3: the flags, and a trigger that gives them what the old application writes into the type, and the other way round.
CREATE FUNCTION chatapp.package_forms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' AND (NEW.enable_call OR NOT NEW.enable_chat)
     OR TG_OP = 'UPDATE' AND (NEW.enable_chat, NEW.enable_call) IS DISTINCT FROM (OLD.enable_chat, OLD.enable_call) THEN
    NEW.chatbottype := CASE WHEN NEW.enable_chat THEN 'chat' ELSE 'call' END;
  ELSIF TG_OP = 'INSERT' OR NEW.chatbottype IS DISTINCT FROM OLD.chatbottype THEN
    NEW.enable_chat := NEW.chatbottype IS DISTINCT FROM 'call';
    NEW.enable_call := NEW.chatbottype IS NOT DISTINCT FROM 'call';
  END IF;
  RETURN NEW;
END
$$;
CREATE FUNCTION chatapp.chatbot_forms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' AND (NEW.enabled_call OR NOT NEW.enabled_chat)
     OR TG_OP = 'UPDATE' AND (NEW.enabled_chat, NEW.enabled_call) IS DISTINCT FROM (OLD.enabled_chat, OLD.enabled_call) THEN
    NEW.chatbottype := CASE WHEN NEW.enabled_chat THEN 'chat' ELSE 'call' END;
  ELSIF TG_OP = 'INSERT' OR NEW.chatbottype IS DISTINCT FROM OLD.chatbottype THEN
    NEW.enabled_chat := NEW.chatbottype IS DISTINCT FROM 'call';
    NEW.enabled_call := NEW.chatbottype IS NOT DISTINCT FROM 'call';
  END IF;
  RETURN NEW;
END
$$;
BEGIN;
ALTER TABLE chatapp.chatbot_packages
  ADD COLUMN enable_chat boolean NOT NULL DEFAULT true, ADD COLUMN enable_call boolean NOT NULL DEFAULT false;
CREATE TRIGGER forms BEFORE INSERT OR UPDATE ON chatapp.chatbot_packages FOR EACH ROW EXECUTE FUNCTION chatapp.package_forms();
COMMIT;
BEGIN;
ALTER TABLE chatapp.chatbots
  ADD COLUMN enabled_chat boolean NOT NULL DEFAULT true, ADD COLUMN enabled_call boolean NOT NULL DEFAULT false;
CREATE TRIGGER forms BEFORE INSERT OR UPDATE ON chatapp.chatbots FOR EACH ROW EXECUTE FUNCTION chatapp.chatbot_forms();
COMMIT;

-- Step 4
CALL chatapp.in_batches('chatapp.chatbot_packages', $$UPDATE chatapp.chatbot_packages SET enable_chat = false, enable_call = true
  WHERE id > $1 AND id <= $2 AND chatbottype = 'call' AND (enable_chat OR NOT enable_call)$$);
CALL chatapp.in_batches('chatapp.chatbots', $$UPDATE chatapp.chatbots SET enabled_chat = false, enabled_call = true
  WHERE id > $1 AND id <= $2 AND chatbottype = 'call' AND (enabled_chat OR NOT enabled_call)$$);
ALTER TABLE chatapp.chatbot_packages
  ADD CONSTRAINT chatbot_packages_capability_check CHECK (enable_chat = true OR enable_call = true) NOT VALID;
ALTER TABLE chatapp.chatbot_packages VALIDATE CONSTRAINT chatbot_packages_capability_check;
ALTER TABLE chatapp.chatbots ADD CONSTRAINT chatbots_capability_check CHECK (enabled_chat = true OR enabled_call = true) NOT VALID;
ALTER TABLE chatapp.chatbots VALIDATE CONSTRAINT chatbots_capability_check;
CREATE INDEX CONCURRENTLY idx_chatbot_packages_capabilities ON chatapp.chatbot_packages(enable_chat, enable_call) WHERE deletedAt IS NULL;
CREATE INDEX CONCURRENTLY idx_chatbots_capabilities ON chatapp.chatbots(enabled_chat, enabled_call) WHERE deletedAt IS NULL;
CREATE INDEX CONCURRENTLY idx_chatbots_company_capabilities ON chatapp.chatbots(company_id, enabled_chat, enabled_call) WHERE deletedAt IS NULL;

-- Steps 5 and 6: types that the flags cannot say are kept; then the columns go, the inheritance rule comes, and who breaks it is recorded.
CALL chatapp.in_batches('chatapp.chatbot_packages', $$INSERT INTO chatapp.old_values
  SELECT id, 'package type', to_jsonb(chatbottype) FROM chatapp.chatbot_packages
  WHERE id > $1 AND id <= $2 AND (chatbottype IN ('chat', 'call')) IS NOT TRUE$$);
CALL chatapp.in_batches('chatapp.chatbots', $$INSERT INTO chatapp.old_values
  SELECT id, 'chatbot type', to_jsonb(chatbottype) FROM chatapp.chatbots
  WHERE id > $1 AND id <= $2 AND (chatbottype IN ('chat', 'call')) IS NOT TRUE$$);
BEGIN;
DROP TRIGGER forms ON chatapp.chatbot_packages;
ALTER TABLE chatapp.chatbot_packages DROP COLUMN chatbottype;
COMMIT;
BEGIN;
DROP TRIGGER forms ON chatapp.chatbots;
ALTER TABLE chatapp.chatbots DROP COLUMN chatbottype;
COMMIT;
CREATE FUNCTION chatapp.package_rule() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  allowed record;
BEGIN
  SELECT enable_chat, enable_call INTO allowed FROM chatapp.chatbot_packages WHERE id = NEW.package_id FOR SHARE;
  IF FOUND AND (NEW.enabled_chat AND NOT allowed.enable_chat OR NEW.enabled_call AND NOT allowed.enable_call) THEN
    RAISE check_violation USING MESSAGE = format('package %s does not allow this', NEW.package_id);
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER package_rule BEFORE INSERT OR UPDATE OF package_id, enabled_chat, enabled_call ON chatapp.chatbots
  FOR EACH ROW EXECUTE FUNCTION chatapp.package_rule();
CALL chatapp.in_batches('chatapp.chatbots', $$INSERT INTO chatapp.rule_breaches
  SELECT c.id FROM chatapp.chatbots AS c JOIN chatapp.chatbot_packages AS p ON p.id = c.package_id
  WHERE c.id > $1 AND c.id <= $2 AND (c.enabled_chat AND NOT p.enable_chat OR c.enabled_call AND NOT p.enable_call)$$);

-- Steps 7 and 8; tens of rows.
ALTER TABLE chatapp.ai_models ADD COLUMN model_type varchar(20) NOT NULL DEFAULT 'chat';
ALTER TABLE chatapp.ai_models ADD CONSTRAINT ai_models_model_type_check CHECK (model_type IN ('chat', 'call', 'both'));
CREATE INDEX CONCURRENTLY idx_ai_models_model_type ON chatapp.ai_models(model_type, provider) WHERE deletedAt IS NULL;

-- Step 12: what is there now is kept, then flag and call settings are written where they are missing.
CALL chatapp.in_batches('chatapp.companies', $$INSERT INTO chatapp.old_values
  SELECT id, 'company flag', settings #> '{features,callEnabled}' FROM chatapp.companies
  WHERE id > $1 AND id <= $2 AND settings #> '{features,callEnabled}' IS NOT NULL$$);
CALL chatapp.in_batches('chatapp.chatbots', $$INSERT INTO chatapp.old_values
  SELECT id, 'call settings', settings -> 'call' FROM chatapp.chatbots
  WHERE id > $1 AND id <= $2 AND (settings IS NULL OR settings -> 'call' IS NOT NULL)$$);
CALL chatapp.in_batches('chatapp.companies', $$UPDATE chatapp.companies
  SET settings = jsonb_set(COALESCE(settings, '{}'), '{features}',
    COALESCE(NULLIF(settings -> 'features', 'null'), '{}') || '{"callEnabled": false}')
  WHERE id > $1 AND id <= $2 AND settings #> '{features,callEnabled}' IS NULL$$);
CALL chatapp.in_batches('chatapp.chatbots', $$UPDATE chatapp.chatbots
  SET settings = jsonb_set(COALESCE(settings, '{}'), '{call}', '{
    "voiceId": "alloy", "voiceProvider": "openai", "voiceSettings": {"pitch": 0, "speed": 1.0, "stability": 0.5},
    "callGreeting": "Hi, I''m your AI assistant. How can I help you today?", "endCallPhrase": "goodbye",
    "silenceTimeout": 180, "maxCallDuration": 600, "recordingEnabled": false, "transcriptionEnabled": true,
    "interruptionEnabled": true, "callButtonText": "Call Us", "callButtonColor": "#22C55E",
    "callButtonPosition": "bottom-right", "vadThreshold": 0.5, "echoCancellation": true, "noiseSuppression": true}')
  WHERE id > $1 AND id <= $2 AND enabled_call AND COALESCE(settings -> 'call', '{}') IN ('{}', 'null')$$);
