-- Rows for the tables that the migration makes, as a platform has them that has taken calls for a while. Run on a migrated
-- sandbox; callctl.calls and callctl.lines (a call) of the session say how many.

-- Loading checks no foreign key and fires no trigger: the rows are made to fit.
SET session_replication_role = replica;

-- Indexes are built after the rows, which is several times faster.
CREATE TEMP TABLE index_to_build AS
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index AS i
WHERE i.indrelid IN ('chatapp.calls'::regclass, 'chatapp.call_transcripts'::regclass)
  AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u'));

DO $$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT i.name FROM index_to_build AS i LOOP
    EXECUTE 'DROP INDEX ' || name;
  END LOOP;
END;
$$;

-- An account for every fifth company, its secrets in the form in which callctl writes them.
INSERT INTO chatapp.integration_accounts (id, company_id, account_type, account_name, credentials, webhook_url, webhook_secret)
SELECT md5('account' || c.n)::uuid, c.id, (ARRAY['twilio', 'whatsapp', 'custom'])[1 + c.n % 3], 'Account ' || c.n,
  CASE c.n % 3
    WHEN 0 THEN jsonb_build_object('accountSid', 'AC' || c.n, 'phoneNumber', '+15550100', 'authToken', secret.value, 'apiKeySecret', secret.value)
    WHEN 1 THEN jsonb_build_object('businessAccountId', '1', 'phoneNumberId', '2', 'accessToken', secret.value, 'appSecret', secret.value)
    ELSE jsonb_build_object('sipUri', 'sip:a@example.com', 'username', 'u', 'password', secret.value,
      'turnServers', jsonb_build_array(jsonb_build_object('urls', 'turn:turn.example.com', 'credential', secret.value))) END,
  CASE WHEN c.n % 3 < 2 THEN
    format('https://chat.example.com/api/webhooks/%s/%s', (ARRAY['twilio/voice', 'whatsapp/call'])[1 + c.n % 3], md5('account' || c.n)::uuid) END,
  md5(c.id::text)
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM chatapp.companies) AS c
CROSS JOIN LATERAL (
  SELECT jsonb_build_object('v', 1, 'alg', 'A256GCM', 'kid', 'k1', 'iv', left(md5(c.id::text), 24),
                            'encrypted', md5(c.id::text) || md5(c.n::text), 'authTag', md5('tag' || c.n)) AS value
) AS secret
WHERE c.n % 5 = 0;

-- Half of the calls come from the web, and have no numbers; nine of ten are completed.
INSERT INTO chatapp.calls (
  company_id, chatbot_id, end_user_id, conversation_id, integration_account_id, call_sid, source, direction, status, from_number, to_number,
  duration, recording_url, ai_provider, model_id, summary, call_quality, sentiment_score, started_at, answered_at,
  ended_at, created_at, updated_at)
SELECT
  v.company_id, v.chatbot_id, v.end_user_id, v.id, CASE WHEN m.n % 2 = 0 THEN a.id END, CASE WHEN m.n % 2 = 0 THEN 'CA' || md5(m.n::text) END,
  CASE WHEN m.n % 2 = 0 THEN 'twilio' ELSE 'web' END, 'inbound', CASE WHEN m.n % 10 = 0 THEN 'no_answer' ELSE 'completed' END,
  CASE WHEN m.n % 2 = 0 THEN '+4930' || 1000000 + m.n % 8999999 END, CASE WHEN m.n % 2 = 0 THEN '+15550100' END,
  CASE WHEN m.n % 10 > 0 THEN m.seconds END, 'https://storage.example.com/call-recordings/' || v.company_id || '/' || m.n || '.mp3',
  'openai', 'gpt-4o-realtime-preview', 'The customer asked about call ' || m.n || ' and was told what there is to know.',
  1 + m.n % 5, m.n % 200 - 100, m.at, CASE WHEN m.n % 10 > 0 THEN m.at + interval '4 s' END,
  CASE WHEN m.n % 10 > 0 THEN m.at + interval '4 s' + m.seconds * interval '1 s' ELSE m.at + interval '30 s' END, m.at, m.at
FROM (SELECT *, row_number() OVER () AS of, count(*) OVER () AS all FROM chatapp.conversations) AS v
CROSS JOIN LATERAL (
  SELECT n, 30 + n % 500 AS seconds, timestamptz '2025-06-01' + n * interval '7 s' AS at
  FROM generate_series(v.of, current_setting('callctl.calls')::bigint, v.all) AS n
) AS m
LEFT JOIN (
  SELECT company_id, min(id::text)::uuid AS id FROM chatapp.integration_accounts GROUP BY company_id
) AS a ON a.company_id = v.company_id;

-- Two speakers in turn, line after line.
INSERT INTO chatapp.call_transcripts (call_id, role, content, start_time, end_time, duration, confidence, metadata, created_at)
SELECT c.id, CASE WHEN n % 2 = 0 THEN 'assistant' ELSE 'user' END,
  'Line ' || n || ' of what was said: opening hours, prices, and order ' || c.duration || '.',
  n * 2000, n * 2000 + 1800, 1800, 0.9731, '{"model": "whisper-1", "language": "en", "language_probability": 0.99}',
  c.answered_at + n * interval '2 s'
FROM chatapp.calls AS c
CROSS JOIN LATERAL generate_series(0, least(c.duration / 2, current_setting('callctl.lines')::integer) - 1) AS n
WHERE c.answered_at IS NOT NULL;

SET maintenance_work_mem = '512MB';

DO $$
DECLARE
  definition text;
BEGIN
  FOR definition IN SELECT i.definition FROM index_to_build AS i LOOP
    EXECUTE definition;
  END LOOP;
END;
$$;

RESET session_replication_role;
