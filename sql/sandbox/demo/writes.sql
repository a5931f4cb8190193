-- What the new application would write, in a small way: a pilot of the call feature. The comment over a statement is
-- what the demo calls its rows. Documented names; callctl adapts them.
-- Two kinds of rows are left alone, since the application's newer write stays in them on the way down, and the demo
-- compares with what was there before: rows whose old type is undocumented, and chatbots whose settings were NULL.

-- companies switched on
UPDATE chatapp.companies
SET settings = jsonb_set(settings, '{features,callEnabled}', 'true')
WHERE deleted_at IS NULL
  AND id IN (
    SELECT company_id FROM chatapp.chatbots WHERE deletedAt IS NULL
    GROUP BY company_id ORDER BY count(*) DESC, company_id LIMIT 10);

-- package opened for calls
UPDATE chatapp.chatbot_packages
SET enable_call = true
WHERE id = (
  SELECT package_id FROM chatapp.chatbots
  WHERE enabled_chat AND NOT enabled_call AND deletedAt IS NULL AND package_id IS NOT NULL
    AND package_id NOT IN (SELECT row_id FROM callctl.saved_value WHERE field = 'chatbot_type')
  GROUP BY package_id ORDER BY count(*) DESC, package_id LIMIT 1);

-- chatbots made hybrids
UPDATE chatapp.chatbots
SET enabled_call = true,
    settings = settings || '{"call": {
      "voiceProvider": "openai", "voiceId": "alloy", "callGreeting": "Hello, how can I help?", "maxCallDuration": 900}}'
WHERE id IN (
  SELECT c.id FROM chatapp.chatbots AS c JOIN chatapp.chatbot_packages AS p ON p.id = c.package_id
  WHERE p.enable_chat AND p.enable_call AND c.enabled_chat AND NOT c.enabled_call AND c.deletedAt IS NULL
    AND c.settings IS NOT NULL AND c.id NOT IN (SELECT row_id FROM callctl.saved_value WHERE field = 'chatbot_type')
  ORDER BY c.id LIMIT 24);

-- hybrid chatbot created
INSERT INTO chatapp.chatbots (company_id, package_id, name, enabled_chat, enabled_call, settings)
SELECT company_id, package_id, 'Front desk', true, true, settings FROM chatapp.chatbots
WHERE enabled_chat AND enabled_call AND deletedAt IS NULL
ORDER BY id LIMIT 1;

-- integration accounts
INSERT INTO chatapp.integration_accounts (company_id, account_type, account_name, credentials)
SELECT id, 'custom', 'Main line', jsonb_build_object('sipUri', 'sip:' || slug || '@voice.example.com')
FROM chatapp.companies
WHERE deleted_at IS NULL
  AND id IN (SELECT company_id FROM chatapp.chatbots WHERE enabled_chat AND enabled_call AND deletedAt IS NULL);

-- calls
INSERT INTO chatapp.calls (
  company_id, chatbot_id, integration_account_id, call_sid, source, direction, status, from_number, duration,
  ai_provider, model_id, sentiment_score, started_at, answered_at, ended_at)
SELECT
  c.company_id, c.id, a.id, 'CA' || md5(c.id::text || n), 'custom', 'inbound', 'completed', '+1555010' || n,
  60 + n, 'openai', 'gpt-4o-realtime-preview', 10 * n, now() - n * interval '1 hour',
  now() - n * interval '1 hour' + interval '4 s', now() - n * interval '1 hour' + (64 + n) * interval '1 s'
FROM chatapp.chatbots AS c
JOIN chatapp.integration_accounts AS a ON a.company_id = c.company_id
CROSS JOIN generate_series(1, 8) AS n
WHERE c.enabled_chat AND c.enabled_call AND c.deletedAt IS NULL;

-- lines of transcript
INSERT INTO chatapp.call_transcripts (call_id, role, content, start_time, end_time, duration, confidence)
SELECT
  c.id, CASE WHEN n % 2 = 1 THEN 'assistant' ELSE 'user' END,
  CASE n
    WHEN 1 THEN 'Hello, how can I help?'
    WHEN 2 THEN 'What are your opening hours?'
    WHEN 3 THEN 'We are open from nine to six.'
    ELSE 'Thank you. Goodbye.'
  END,
  (n - 1) * 5000, n * 5000, 5000, 0.97
FROM chatapp.calls AS c
CROSS JOIN generate_series(1, 4) AS n;
