-- Rows for documented.sql; run rows.sql before it, in the same session.

INSERT INTO chatapp.companies (id, name, slug, plan, status, settings, created_at, updated_at, deleted_at)
SELECT
  pg_temp.id('company', i), 'Company ' || i, 'company-' || i,
  (ARRAY['free', 'starter', 'growth', 'enterprise'])[1 + pg_temp.roll(1, i, 4)], 'active',
  pg_temp.company_settings(i), pg_temp.moment(2, i), pg_temp.moment(2, i) + interval '1 day',
  CASE WHEN i IN (6, 10) OR pg_temp.roll(3, i, 20) = 0 THEN pg_temp.moment(2, i) + interval '90 days' END
FROM size, generate_series(1, size.companies) AS i;

INSERT INTO chatapp.companies (id, name, slug, settings, created_at, updated_at)
SELECT
  pg_temp.id('refused company', i), 'Odd company ' || i, 'odd-company-' || i, settings,
  pg_temp.moment(2, i), pg_temp.moment(2, i)
FROM refused_shape;

INSERT INTO chatapp.users (
  id, company_id, email, full_name, role, avatar_url, created_at, updated_at, deleted_at)
SELECT
  pg_temp.id('user', i),
  CASE WHEN i > 10 OR i % 2 = 0 THEN pg_temp.id('company', pg_temp.tenant(i, size.companies)) END,
  'user' || i || '@example.com', 'User ' || i,
  CASE
    WHEN i <= 10 AND i % 2 = 1 THEN 'master_admin'
    WHEN i % 5 = 0 THEN 'company_admin'
    ELSE 'company_member'
  END,
  pg_temp.avatar(i), pg_temp.moment(4, i), pg_temp.moment(4, i),
  CASE WHEN i = 20 OR pg_temp.roll(5, i, 20) = 0 THEN pg_temp.moment(4, i) + interval '60 days' END
FROM size, generate_series(1, size.users) AS i;

INSERT INTO chatapp.chatbot_packages (
  id, name, description, chatbotType, monthly_price, is_active, created_at, updated_at, deletedAt)
SELECT
  pg_temp.id('package', i), 'Package ' || i, 'What package ' || i || ' offers',
  CASE
    WHEN i = 5 THEN 'Call'
    WHEN i = 6 THEN NULL
    WHEN i = 8 THEN 'voice'
    WHEN i % 4 = 3 THEN 'call'
    ELSE 'chat'
  END,
  9 + pg_temp.roll(6, i, 200), true, pg_temp.moment(7, i), pg_temp.moment(7, i),
  CASE WHEN i IN (7, 8) OR pg_temp.roll(8, i, 20) = 0 THEN pg_temp.moment(7, i) + interval '300 days' END
FROM size, generate_series(1, size.packages) AS i;

INSERT INTO chatapp.ai_models (
  id, provider, model_name, display_name, description, supports_audio, input_cost_per_token,
  output_cost_per_token, context_window, max_output_tokens, created_at, updated_at, deletedAt)
SELECT
  pg_temp.id('model', i), provider, name, display_name, display_name || ' for text chat', false,
  input_price / 1000000, output_price / 1000000, context_window, max_output,
  pg_temp.moment(9, i), pg_temp.moment(9, i), CASE WHEN i = 12 THEN pg_temp.moment(9, i) + interval '1 year' END
FROM chat_model;

INSERT INTO chatapp.chatbots (
  id, company_id, package_id, ai_model_id, name, chatbotType, system_prompt, settings, is_active,
  created_at, updated_at, deletedAt)
SELECT
  pg_temp.id('chatbot', i), pg_temp.id('company', pg_temp.tenant(i, size.companies)),
  pg_temp.id('package', pg_temp.package(i, size.packages)), pg_temp.id('model', 1 + pg_temp.roll(12, i, 12)),
  'Chatbot ' || i,
  CASE CASE WHEN i <= 8 THEN i WHEN i <= 20 THEN 0 ELSE pg_temp.roll(13, i, 800) END
    WHEN 5 THEN 'Call'
    WHEN 6 THEN 'voice'
    WHEN 7 THEN ''
    WHEN 8 THEN NULL
    ELSE CASE WHEN pg_temp.calls(i) THEN 'call' ELSE 'chat' END
  END,
  'You answer questions for company ' || pg_temp.tenant(i, size.companies) || '.',
  pg_temp.chatbot_settings(i), i % 9 <> 0, pg_temp.moment(14, i), pg_temp.moment(14, i),
  CASE WHEN i IN (5, 12, 18) OR i > 20 AND pg_temp.roll(15, i, 20) = 0
    THEN pg_temp.moment(14, i) + interval '40 days' END
FROM size, generate_series(1, size.chatbots) AS i;

INSERT INTO chatapp.chatbots (id, company_id, name, chatbotType, settings, created_at, updated_at)
SELECT
  pg_temp.id('refused chatbot', i), pg_temp.id('company', 1), 'Odd chatbot ' || i, 'call', settings,
  pg_temp.moment(14, i), pg_temp.moment(14, i)
FROM refused_shape
WHERE i <= 5;

INSERT INTO chatapp.end_users (id, company_id, name, email, phone, channel, created_at, updated_at)
SELECT
  pg_temp.id('end user', i), pg_temp.id('company', pg_temp.tenant(i, size.companies)),
  CASE WHEN i % 3 > 0 THEN 'Visitor ' || i END, CASE WHEN i % 4 = 0 THEN 'visitor' || i || '@example.net' END,
  CASE WHEN i % 7 = 0 THEN '+1555' || lpad((i % 10000000)::text, 7, '0') END,
  (ARRAY['web', 'whatsapp', 'facebook', 'custom'])[1 + pg_temp.roll(16, i, 4)],
  pg_temp.moment(17, i), pg_temp.moment(17, i)
FROM size, generate_series(1, size.end_users) AS i;

-- Conversation i is of chatbot i and end user i, who have the same company.
INSERT INTO chatapp.conversations (
  id, company_id, chatbot_id, end_user_id, channel, status, message_count, created_at, updated_at)
SELECT
  pg_temp.id('conversation', i), pg_temp.id('company', pg_temp.tenant(i, size.companies)),
  pg_temp.id('chatbot', i), CASE WHEN i % 8 > 0 THEN pg_temp.id('end user', i) END,
  (ARRAY['web', 'whatsapp', 'facebook', 'custom'])[1 + pg_temp.roll(16, i, 4)],
  (ARRAY['active', 'resolved', 'abandoned'])[1 + pg_temp.roll(18, i, 3)], 1,
  pg_temp.moment(19, i), pg_temp.moment(19, i)
FROM size, generate_series(1, size.conversations) AS i;

INSERT INTO chatapp.messages (id, conversation_id, role, content, created_at)
SELECT
  pg_temp.id('message', i), pg_temp.id('conversation', i), 'user',
  'Question ' || i || ': what are your opening hours?', pg_temp.moment(19, i)
FROM size, generate_series(1, least(size.conversations, 100000)) AS i;

DO $$
DECLARE
  definition text;
BEGIN
  FOR definition IN SELECT i.definition FROM index_to_build AS i ORDER BY i.name LOOP
    EXECUTE definition;
  END LOOP;
END;
$$;

SET session_replication_role = DEFAULT;
