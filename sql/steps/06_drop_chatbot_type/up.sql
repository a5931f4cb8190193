-- Step 6: chatbots loses its type column, and the inheritance rule comes. From here on code that names the column fails.
-- Specification: L159-167, L394-412.

-- callctl: commit
ALTER TABLE chatapp.chatbots DROP COLUMN chatbotType;

-- callctl: repeatable
CREATE OR REPLACE FUNCTION chatapp.check_chatbot_capabilities() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- The name of the column that points at the package comes as the argument.
  package uuid;
  old_package uuid;
  allowed record;
BEGIN
  EXECUTE format('SELECT ($1).%I', TG_ARGV[0]) INTO package USING NEW;
  IF package IS NULL THEN
    RETURN NEW;
  END IF;
  IF TG_OP = 'UPDATE' THEN
    EXECUTE format('SELECT ($1).%I', TG_ARGV[0]) INTO old_package USING OLD;
  END IF;
  IF TG_OP = 'UPDATE' AND package IS NOT DISTINCT FROM old_package
     AND NEW.enabled_chat <= OLD.enabled_chat AND NEW.enabled_call <= OLD.enabled_call THEN
    RETURN NEW;  -- nothing was added that the package could forbid
  END IF;
  EXECUTE format('SELECT enable_chat, enable_call FROM %I.chatbot_packages WHERE id = $1 FOR SHARE', TG_TABLE_SCHEMA)
     INTO allowed USING package;
  IF NEW.enabled_chat AND NOT allowed.enable_chat AND (TG_OP = 'INSERT' OR NOT OLD.enabled_chat OR package IS DISTINCT FROM old_package) THEN
    RAISE EXCEPTION 'chatbot % may not enable chat: package % does not allow it', NEW.id, package
      USING ERRCODE = 'check_violation', CONSTRAINT = 'chatbots_package_capability', TABLE = TG_TABLE_NAME, SCHEMA = TG_TABLE_SCHEMA;
  END IF;
  IF NEW.enabled_call AND NOT allowed.enable_call AND (TG_OP = 'INSERT' OR NOT OLD.enabled_call OR package IS DISTINCT FROM old_package) THEN
    RAISE EXCEPTION 'chatbot % may not enable call: package % does not allow it', NEW.id, package
      USING ERRCODE = 'check_violation', CONSTRAINT = 'chatbots_package_capability', TABLE = TG_TABLE_NAME, SCHEMA = TG_TABLE_SCHEMA;
  END IF;
  RETURN NEW;
END
$$;

-- It runs as its owner, on whatever table it is a trigger of: so no one else may put it on one. The trigger fires without that right.
-- callctl: repeatable
REVOKE ALL ON FUNCTION chatapp.check_chatbot_capabilities() FROM PUBLIC;

-- callctl: repeatable
COMMENT ON FUNCTION chatapp.check_chatbot_capabilities() IS
  'A chatbot may enable only what its package allows (checked on insert and when the flags or the package change)';

-- callctl: repeatable
DROP TRIGGER IF EXISTS check_chatbot_capabilities ON chatapp.chatbots;

-- callctl: repeatable, commit
CREATE TRIGGER check_chatbot_capabilities
  BEFORE INSERT OR UPDATE OF package_id, enabled_chat, enabled_call ON chatapp.chatbots
  FOR EACH ROW EXECUTE FUNCTION chatapp.check_chatbot_capabilities(package_id);
