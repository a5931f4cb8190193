-- What both row files draw on: values that depend on the row's number and the seed, and on nothing else.
-- Settings of the session: callctl.rows (chatbots, default 200), callctl.seed (default 1),
-- callctl.refused_shapes (on adds the settings that the migration refuses; default off).
-- The first rows of each table hold one of every shape, so that a small database has them all.

-- Loading checks no foreign key and fires no trigger: the rows are made to fit.
SET session_replication_role = replica;
SET work_mem = '64MB';
SET maintenance_work_mem = '256MB';

-- Indexes are built after the rows, which is several times faster.
CREATE TEMP TABLE index_to_build AS
SELECT c.relname AS name, pg_get_indexdef(c.oid) AS definition
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'chatapp'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = c.oid);

DO $$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT i.name FROM index_to_build AS i LOOP
    EXECUTE format('DROP INDEX chatapp.%I', name);
  END LOOP;
END;
$$;

-- How many rows of each table.
CREATE TEMP TABLE size AS
SELECT
  n AS chatbots,
  2 * n AS users,
  greatest(20, n / 10) AS companies,
  greatest(8, n / 1000) AS packages,
  least(n / 2, 500000) AS end_users,
  least(n / 2, 500000) AS conversations
FROM (SELECT coalesce(nullif(current_setting('callctl.rows', true), ''), '200')::bigint AS n) AS wanted;

-- A constant of this session, so that the planner folds it: it is asked for millions of times.
DO $$
BEGIN
  EXECUTE format(
    'CREATE FUNCTION pg_temp.seed() RETURNS bigint LANGUAGE sql IMMUTABLE AS %L',
    format('SELECT %s::bigint', coalesce(nullif(current_setting('callctl.seed', true), ''), '1')::bigint));
END;
$$;

CREATE FUNCTION pg_temp.id(kind text, i bigint) RETURNS uuid LANGUAGE sql STABLE
AS $$ SELECT md5(pg_temp.seed() || kind || i)::uuid $$;

-- A die: 0 .. sides - 1 for row i; another salt is another die.
CREATE FUNCTION pg_temp.roll(salt bigint, i bigint, sides bigint) RETURNS bigint LANGUAGE sql STABLE
AS $$ SELECT (hashint8extended(i, pg_temp.seed() * 1000 + salt) & 9223372036854775807) % sides $$;

-- 1 .. n, small numbers far more often: a few tenants are large and most are small.
CREATE FUNCTION pg_temp.skewed(salt bigint, i bigint, n bigint) RETURNS bigint LANGUAGE sql STABLE
AS $$ SELECT 1 + (pg_temp.roll(salt, i, 1000000) * pg_temp.roll(salt + 1, i, 1000000) * n) / 1000000000000 $$;

-- The company of a chatbot, and of what belongs to the chatbot.
CREATE FUNCTION pg_temp.tenant(chatbot bigint, companies bigint) RETURNS bigint LANGUAGE sql STABLE
AS $$ SELECT CASE WHEN chatbot <= companies THEN chatbot ELSE pg_temp.skewed(10, chatbot, companies) END $$;

CREATE FUNCTION pg_temp.moment(salt bigint, i bigint) RETURNS timestamptz LANGUAGE sql STABLE
AS $$ SELECT timestamptz '2023-01-01 00:00:00+00' + pg_temp.roll(salt, i, 94608000) * interval '1 second' $$;

-- Which chatbots are call bots: one in ten, and 11 .. 16.
CREATE FUNCTION pg_temp.calls(i bigint) RETURNS boolean LANGUAGE sql STABLE
AS $$ SELECT CASE WHEN i <= 10 OR i = 17 THEN i = 9 WHEN i <= 16 THEN true ELSE pg_temp.roll(20, i, 10) = 0 END $$;

-- Package numbers 3, 7, 11 ... are call packages.
CREATE FUNCTION pg_temp.package(i bigint, packages bigint) RETURNS bigint LANGUAGE sql STABLE
AS $$
  SELECT CASE
    WHEN i = 9 THEN 1                                     -- a call bot in a chat package
    WHEN i = 10 THEN 3                                    -- a chat bot in a call package
    WHEN i = 14 OR pg_temp.roll(21, i, 12) = 0 THEN NULL  -- no package
    WHEN pg_temp.calls(i) <> (i > 20 AND pg_temp.roll(22, i, 400) = 0)
      THEN 3 + 4 * pg_temp.roll(23, i, packages / 4)
    ELSE 1 + 4 * pg_temp.roll(23, i, packages / 4) + (ARRAY[0, 1, 3])[1 + pg_temp.roll(24, i, 3)]
  END
$$;

CREATE FUNCTION pg_temp.avatar(i bigint) RETURNS text LANGUAGE sql STABLE
AS $$
  SELECT CASE CASE WHEN i <= 5 THEN i ELSE pg_temp.roll(30, i, 100) END
    WHEN 1 THEN rpad('https://cdn.example.com/avatars/' || i || '.png?signature=', 399, md5(i::text))
    WHEN 2 THEN rpad('https://cdn.example.com/avatars/' || i || '.png?signature=', 499, md5(i::text))
    WHEN 3 THEN rpad('https://cdn.example.com/avatars/' || i || '.png?signature=', 500, md5(i::text))
    WHEN 4 THEN rpad('data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB', 480, md5(i::text)) || 'AAAA'
    ELSE CASE WHEN i > 5 AND pg_temp.roll(30, i, 100) < 55
      THEN 'https://cdn.example.com/avatars/' || md5(i::text) || '.png' END
  END
$$;

-- Every shape of companies.settings that takes the call flag.
CREATE FUNCTION pg_temp.company_settings(i bigint) RETURNS jsonb LANGUAGE sql STABLE
AS $$
  SELECT CASE CASE WHEN i <= 9 THEN i ELSE pg_temp.roll(40, i, 20) END
    WHEN 1 THEN NULL
    WHEN 2 THEN '{}'::jsonb
    WHEN 3 THEN '{"locale": "de", "branding": {"color": "#22C55E"}}'
    WHEN 4 THEN '{"features": null, "locale": "en"}'
    WHEN 5 THEN '{"features": {}}'
    WHEN 6 THEN '{"features": {"callEnabled": true, "analytics": true}, "note": "pilot"}'
    WHEN 7 THEN '{"features": {"callEnabled": false}}'
    WHEN 8 THEN '{"features": {"labels": ["ä", "日本", {"deep": [1, 2.50, null]}], "analytics": false}, "x": null}'
    ELSE jsonb_build_object(
      'features', jsonb_build_object('analytics', i % 2 = 0, 'maxChatbots', 1 + i % 40),
      'locale', (ARRAY['en', 'de', 'fr', 'ja'])[1 + i % 4])
  END
$$;

CREATE FUNCTION pg_temp.call_settings(i bigint) RETURNS jsonb LANGUAGE sql STABLE
AS $$
  SELECT jsonb_build_object('greeting', 'Hello', 'call', '{
    "voiceId": "shimmer",
    "voiceProvider": "openai",
    "voiceSettings": {"pitch": 0, "speed": 1.25, "stability": 0.5},
    "endCallPhrase": "goodbye",
    "silenceTimeout": 120,
    "recordingEnabled": true,
    "transcriptionEnabled": true,
    "interruptionEnabled": false,
    "callButtonText": "Call us",
    "callButtonColor": "#1D4ED8",
    "callButtonPosition": "bottom-right",
    "vadThreshold": 0.6,
    "echoCancellation": true,
    "noiseSuppression": true
  }'::jsonb || jsonb_build_object(
    'callGreeting', 'This is bot ' || i || '. How can I help?', 'maxCallDuration', 300 + 60 * (i % 10)))
$$;

-- Every shape of chatbots.settings, with "call" absent, null, empty and complete.
CREATE FUNCTION pg_temp.chatbot_settings(i bigint) RETURNS jsonb LANGUAGE sql STABLE
AS $$
  SELECT CASE CASE WHEN i BETWEEN 11 AND 17 THEN i - 10 ELSE pg_temp.roll(50, i, 25) END
    WHEN 1 THEN NULL
    WHEN 2 THEN '{}'::jsonb
    WHEN 3 THEN '{"theme": {"color": "#0EA5E9", "position": "bottom-left"}, "tags": ["a", "b"]}'
    WHEN 4 THEN '{"call": null, "theme": null}'
    WHEN 5 THEN '{"call": {}}'
    WHEN 6 THEN pg_temp.call_settings(i)
    WHEN 7 THEN pg_temp.call_settings(i)
    ELSE jsonb_build_object('temperature', (i % 10) / 10.0, 'greeting', 'Hello from bot ' || i)
  END
$$;

-- The settings that the migration refuses; only with callctl.refused_shapes on.
CREATE TEMP TABLE refused_shape AS
SELECT i, settings::jsonb
FROM (VALUES
  (1, '[]'), (2, '["features"]'), (3, '"features"'), (4, '42'), (5, 'true'), (6, 'null'),
  (7, '{"features": "all"}'), (8, '{"features": 7}'), (9, '{"features": ["callEnabled"]}'),
  (10, '{"features": {"callEnabled": "yes"}}'), (11, '{"features": {"callEnabled": null}}'),
  (12, '{"features": {"callEnabled": 1}}')
) AS shape(i, settings)
WHERE coalesce(nullif(current_setting('callctl.refused_shapes', true), ''), 'off')::boolean;

CREATE TEMP TABLE chat_model AS
SELECT * FROM (VALUES
  (1, 'openai', 'gpt-4-turbo', 'GPT-4 Turbo', 10.00, 30.00, 128000, 4096),
  (2, 'openai', 'gpt-4', 'GPT-4', 30.00, 60.00, 8192, 4096),
  (3, 'openai', 'gpt-3.5-turbo', 'GPT-3.5 Turbo', 0.50, 1.50, 16385, 4096),
  (4, 'openai', 'gpt-4o', 'GPT-4o', 2.50, 10.00, 128000, 16384),
  (5, 'openai', 'gpt-4o-mini', 'GPT-4o mini', 0.15, 0.60, 128000, 16384),
  (6, 'anthropic', 'claude-3-5-sonnet-20241022', 'Claude 3.5 Sonnet', 3.00, 15.00, 200000, 8192),
  (7, 'anthropic', 'claude-3-opus-20240229', 'Claude 3 Opus', 15.00, 75.00, 200000, 4096),
  (8, 'anthropic', 'claude-3-haiku-20240307', 'Claude 3 Haiku', 0.25, 1.25, 200000, 4096),
  (9, 'google', 'gemini-1.5-pro', 'Gemini 1.5 Pro', 1.25, 5.00, 2097152, 8192),
  (10, 'google', 'gemini-1.5-flash', 'Gemini 1.5 Flash', 0.075, 0.30, 1048576, 8192),
  (11, 'google', 'gemini-pro', 'Gemini Pro', 0.50, 1.50, 32760, 8192),
  (12, 'openai', 'gpt-3.5-turbo-16k', 'GPT-3.5 Turbo 16k (retired)', 3.00, 4.00, 16385, 4096)
) AS model(i, provider, name, display_name, input_price, output_price, context_window, max_output);
