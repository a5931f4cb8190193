-- Step 12, before: what is stored at both paths before is saved, so that down can put it back exactly. Where nothing is saved,
-- there was nothing, inside a container that was there.

-- callctl: batched
INSERT INTO callctl.saved_value (company_id, field, saved_by, value)
SELECT c.id, 'settings.features.callEnabled', 'up', callctl.call_flag_before(c.settings)
FROM chatapp.companies AS c
WHERE jsonb_typeof(c.settings #> '{features,callEnabled}') = 'boolean'
  AND NOT EXISTS (
    SELECT FROM callctl.saved_value AS s
    WHERE s.company_id = c.id AND s.field = 'settings.features.callEnabled' AND s.saved_by = 'up' AND s.superseded_at IS NULL)
ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL DO NOTHING;

-- NULL settings are saved as well: the application may put call settings into them, and down takes the container out again.
-- callctl: batched
INSERT INTO callctl.saved_value (chatbot_id, field, saved_by, value)
SELECT c.id, 'settings.call', 'up',
       CASE WHEN c.settings IS NULL THEN '{"settings": "absent"}' ELSE jsonb_build_object('call', c.settings -> 'call') END
FROM chatapp.chatbots AS c
WHERE (c.settings IS NULL OR c.settings -> 'call' IS NOT NULL)
  AND NOT EXISTS (
    SELECT FROM callctl.saved_value AS s
    WHERE s.chatbot_id = c.id AND s.field = 'settings.call' AND s.saved_by = 'up' AND s.superseded_at IS NULL)
ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL DO NOTHING;

INSERT INTO callctl.known_before (step) VALUES (12) ON CONFLICT (step) DO NOTHING;
