-- Step 6, after: chatbots that already break the inheritance rule are recorded; the enum type is dropped, too, if nothing else uses it.

-- Hybrids were saved beside the type; their flags are in their columns, and no type says otherwise any more.
DELETE FROM callctl.saved_value
WHERE chatbot_id IS NOT NULL AND field = 'capabilities' AND saved_by = 'down' AND superseded_at IS NULL;

-- Chatbots that broke the rule before it came are recorded, and stay warnings.
-- callctl: batched, repeatable
INSERT INTO callctl.inheritance_breach (chatbot_id)
SELECT c.id
FROM chatapp.chatbots AS c
JOIN chatapp.chatbot_packages AS p ON p.id = c.package_id
WHERE ((c.enabled_chat AND NOT p.enable_chat) OR (c.enabled_call AND NOT p.enable_call))
  AND NOT EXISTS (SELECT FROM callctl.inheritance_breach AS b WHERE b.chatbot_id = c.id)
ON CONFLICT (chatbot_id) DO NOTHING;

-- Where step 12 is applied already (the drops were deferred), the old application has made call bots behind it, and knew
-- of no call settings. They get the defaults as step 12 gives them. Step 12 down takes them back: what was stored before
-- up it has saved already, and of what it has not, nothing did.
-- callctl: batched
WITH found AS (
  SELECT c.id, c.settings FROM chatapp.chatbots AS c
  WHERE c.enabled_call AND COALESCE(c.settings -> 'call', '{}') IN ('{}', 'null')
    AND (SELECT h.direction FROM callctl.history AS h WHERE h.step = 12 ORDER BY h.id DESC LIMIT 1) = 'up'
  FOR NO KEY UPDATE OF c
), saved AS (
  INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, value)
  SELECT id, 'settings.call', 'up',
         CASE WHEN settings IS NULL THEN '{"settings": "absent"}' ELSE '{}' END::jsonb
  FROM found
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL DO NOTHING
)
UPDATE chatapp.chatbots AS c SET settings = jsonb_set(COALESCE(found.settings, '{}'), '{call}', callctl.default_call_settings())
FROM found WHERE c.id = found.id;

SELECT callctl.drop_unused_types();

-- Models for calls that waited for this drop (migrate up --defer-drops), so that the old application does not offer them: where
-- the table has no is_active they are inserted now; where it has, those that are stored as callctl left them become active.
-- callctl: repeatable
SELECT callctl.bring_back_rows('chatapp.ai_models'::regclass, 'model_name'::name)
WHERE (SELECT h.direction FROM callctl.history AS h WHERE h.step = 13 ORDER BY h.id DESC LIMIT 1) = 'up';

-- callctl: repeatable
SELECT callctl.release_models('chatapp.ai_models'::regclass, 'model_name'::name);
