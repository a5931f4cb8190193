-- Step 6: chatbots loses its type column. The enum type goes too, if nothing else uses it, and the inheritance rule comes.
-- Specification: L159-167, L394-412. Values that the flags can't say (unknown types, NULL) are saved first; so is the column's
-- full definition. The flags alone give 'chat' and 'call' back.

-- callctl: batched
INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, value, left_there)
SELECT 'chatbots', 'chatbot_type', 'up', id, to_jsonb(chatbotType),
       jsonb_build_object('chat', enabled_chat, 'call', enabled_call)
FROM chatapp.chatbots
WHERE chatbotType IS NULL OR chatbotType NOT IN ('chat', 'call')
FOR NO KEY UPDATE
ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now();

-- callctl: repeatable
SELECT callctl.remember_column(6, 'chatapp.chatbots'::regclass, 'chatbottype'::name);

-- A type saved of a row that never came to be (ON CONFLICT left it out), or that another of its id has replaced, is not
-- the type of the row that is there. One look by key for each: read whole, the table would be locked for as long, below.
DELETE FROM callctl.saved_value AS s
WHERE s.relation = 'chatbots' AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
  AND (SELECT to_jsonb(c.chatbotType) IS DISTINCT FROM s.value FROM chatapp.chatbots AS c WHERE c.id = s.row_id);

-- The trigger has kept later writes saved, so this holds until the lock below is taken.
-- check: chatbot-types-saved: every type that the flags can't say is saved
SELECT p.id, p.chatbotType
FROM chatapp.chatbots AS p
LEFT JOIN callctl.saved_value AS s
  ON s.relation = 'chatbots' AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.row_id = p.id
 AND s.superseded_at IS NULL
WHERE (p.chatbotType IS NULL OR p.chatbotType NOT IN ('chat', 'call'))
  AND (s.id IS NULL OR s.value IS DISTINCT FROM to_jsonb(p.chatbotType));

DROP TRIGGER IF EXISTS callctl_sync_capabilities ON chatapp.chatbots;

-- The same of what the trigger has saved since, after its last word; the others' pages are at hand by now.
DELETE FROM callctl.saved_value AS s
WHERE s.relation = 'chatbots' AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
  AND (SELECT to_jsonb(c.chatbotType) IS DISTINCT FROM s.value FROM chatapp.chatbots AS c WHERE c.id = s.row_id);

-- callctl: commit
ALTER TABLE chatapp.chatbots DROP COLUMN chatbotType;

-- Flags that were saved beside a type stand in their columns, and there is no type any more to say otherwise.
DELETE FROM callctl.saved_value
WHERE relation = 'chatbots' AND field = 'capabilities' AND saved_by = 'down' AND superseded_at IS NULL;

DROP FUNCTION IF EXISTS callctl.sync_chatbots();

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

-- callctl: repeatable
COMMENT ON FUNCTION chatapp.check_chatbot_capabilities() IS
  'A chatbot may enable only what its package allows (checked on insert and when the flags or the package change)';

-- callctl: repeatable
DROP TRIGGER IF EXISTS check_chatbot_capabilities ON chatapp.chatbots;

-- callctl: repeatable
CREATE TRIGGER check_chatbot_capabilities
  BEFORE INSERT OR UPDATE OF package_id, enabled_chat, enabled_call ON chatapp.chatbots
  FOR EACH ROW EXECUTE FUNCTION chatapp.check_chatbot_capabilities(package_id);

-- Chatbots that broke the rule before it came are recorded, and stay warnings.
-- callctl: batched, repeatable
INSERT INTO callctl.inheritance_breach (chatbot_id)
SELECT c.id
FROM chatapp.chatbots AS c
JOIN chatapp.chatbot_packages AS p ON p.id = c.package_id
WHERE (c.enabled_chat AND NOT p.enable_chat) OR (c.enabled_call AND NOT p.enable_call)
ON CONFLICT (chatbot_id) DO NOTHING;

-- Where step 12 is applied already (the drops were deferred), the old application has made call bots behind it, and knew
-- of no call settings. They get the defaults as step 12 gives them. Its way down takes them back: what stood there before
-- up it has saved already, and of what it has not, nothing did.
-- callctl: batched
WITH found AS (
  SELECT c.id, c.settings FROM chatapp.chatbots AS c
  WHERE c.enabled_call AND COALESCE(c.settings -> 'call', '{}') IN ('{}', 'null')
    AND (SELECT h.direction FROM callctl.history AS h WHERE h.step = 12 ORDER BY h.id DESC LIMIT 1) = 'up'
  FOR NO KEY UPDATE OF c
), saved AS (
  INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, value)
  SELECT 'chatbots', 'settings.call', 'up', id,
         CASE WHEN settings IS NULL THEN '{"settings": "absent"}' ELSE '{}' END::jsonb
  FROM found
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL DO NOTHING
)
UPDATE chatapp.chatbots AS c SET settings = jsonb_set(COALESCE(found.settings, '{}'), '{call}', callctl.default_call_settings())
FROM found WHERE c.id = found.id;

SELECT callctl.drop_unused_types();
