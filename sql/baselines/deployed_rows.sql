-- Rows for deployed.sql; run rows.sql before it, in the same session.

INSERT INTO chatapp.companies (id, name, slug, plan, status, settings, created_at, updated_at, deleted_at)
SELECT
  pg_temp.id('company', i), 'Company ' || i, 'company-' || i,
  (ARRAY['free', 'starter', 'growth', 'enterprise'])[1 + pg_temp.roll(1, i, 4)]::public.plan_tier, 'active',
  pg_temp.company_settings(i), pg_temp.moment(2, i), pg_temp.moment(2, i) + interval '1 day',
  CASE WHEN i IN (6, 10) OR pg_temp.roll(3, i, 20) = 0 THEN pg_temp.moment(2, i) + interval '90 days' END
FROM size, generate_series(1, size.companies) AS i;

INSERT INTO chatapp.companies (id, name, slug, settings, created_at, updated_at)
SELECT
  pg_temp.id('refused company', i), 'Odd company ' || i, 'odd-company-' || i, settings,
  pg_temp.moment(2, i), pg_temp.moment(2, i)
FROM refused_shape;

INSERT INTO chatapp.users (
  id, company_id, email, name, role, avatar_url, created_at, updated_at, deleted_at)
SELECT
  pg_temp.id('user', i),
  CASE WHEN i > 10 OR i % 2 = 0 THEN pg_temp.id('company', pg_temp.tenant(i, size.companies)) END,
  'user' || i || '@example.com', 'User ' || i,
  CASE
    WHEN i <= 10 AND i % 2 = 1 THEN 'master_admin'
    WHEN i % 5 = 0 THEN 'company_admin'
    ELSE 'company_member'
  END::public.user_role,
  pg_temp.avatar(i), pg_temp.moment(4, i), pg_temp.moment(4, i),
  CASE WHEN i = 20 OR pg_temp.roll(5, i, 20) = 0 THEN pg_temp.moment(4, i) + interval '60 days' END
FROM size, generate_series(1, size.users) AS i;

INSERT INTO chatapp.chatbot_packages (
  id, name, description, chatbot_type, monthly_price, billing_interval, is_active, created_at, updated_at)
SELECT
  pg_temp.id('package', i), 'Package ' || i, 'What package ' || i || ' offers',
  CASE WHEN i % 4 = 3 THEN 'call' ELSE 'chat' END::public.chatbot_type,
  9 + pg_temp.roll(6, i, 200), CASE WHEN i % 6 = 0 THEN 'yearly' ELSE 'monthly' END::public.billing_interval,
  i % 20 <> 8, pg_temp.moment(7, i), pg_temp.moment(7, i)
FROM size, generate_series(1, size.packages) AS i;

INSERT INTO chatapp.ai_models (
  id, provider, model_id, display_name, description, input_limit, output_limit, input_price_per_million,
  output_price_per_million, cached_input_price, settings_schema, is_active, is_default, sort_order,
  created_at, updated_at)
SELECT
  pg_temp.id('model', i), provider::public.ai_model_provider, name, display_name,
  display_name || ' for text chat', context_window, max_output, input_price, output_price,
  CASE WHEN i % 2 = 0 THEN input_price / 2 END, '{"temperature": {"min": 0, "max": 2, "default": 0.7}}',
  i <> 12, i = 4, i, pg_temp.moment(9, i), pg_temp.moment(9, i)
FROM chat_model;

INSERT INTO chatapp.chatbots (
  id, company_id, package_id, ai_model_id, name, chatbot_type, status, system_prompt, settings,
  created_at, updated_at, deleted_at)
SELECT
  pg_temp.id('chatbot', i), pg_temp.id('company', pg_temp.tenant(i, size.companies)),
  pg_temp.id('package', pg_temp.package(i, size.packages)), pg_temp.id('model', 1 + pg_temp.roll(12, i, 12)),
  'Chatbot ' || i,
  CASE WHEN pg_temp.calls(i) THEN 'call' ELSE 'chat' END::public.chatbot_type,
  CASE WHEN i % 9 = 0 THEN 'paused' WHEN i % 10 = 0 THEN 'draft' ELSE 'active' END::public.chatbot_status,
  'You answer questions for company ' || pg_temp.tenant(i, size.companies) || '.',
  coalesce(pg_temp.chatbot_settings(i), '{}'), pg_temp.moment(14, i), pg_temp.moment(14, i),
  CASE WHEN i IN (5, 12, 18) OR i > 20 AND pg_temp.roll(15, i, 20) = 0
    THEN pg_temp.moment(14, i) + interval '40 days' END
FROM size, generate_series(1, size.chatbots) AS i;

INSERT INTO chatapp.chatbots (id, company_id, name, chatbot_type, settings, created_at, updated_at)
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
  (ARRAY['web', 'whatsapp', 'facebook', 'custom'])[1 + pg_temp.roll(16, i, 4)]::public.channel_type,
  pg_temp.moment(17, i), pg_temp.moment(17, i)
FROM size, generate_series(1, size.end_users) AS i;

-- Conversation i is of chatbot i and end user i, who have the same company.
INSERT INTO chatapp.conversations (
  id, company_id, chatbot_id, end_user_id, channel, status, message_count, created_at, updated_at)
SELECT
  pg_temp.id('conversation', i), pg_temp.id('company', pg_temp.tenant(i, size.companies)),
  pg_temp.id('chatbot', i), CASE WHEN i % 8 > 0 THEN pg_temp.id('end user', i) END,
  (ARRAY['web', 'whatsapp', 'facebook', 'custom'])[1 + pg_temp.roll(16, i, 4)]::public.channel_type,
  (ARRAY['active', 'resolved', 'abandoned'])[1 + pg_temp.roll(18, i, 3)]::public.conversation_status, 1,
  pg_temp.moment(19, i), pg_temp.moment(19, i)
FROM size, generate_series(1, size.conversations) AS i;

INSERT INTO chatapp.messages (id, conversation_id, role, content, created_at)
SELECT
  pg_temp.id('message', i), pg_temp.id('conversation', i), 'user',
  'Question ' || i || ': what are your opening hours?', pg_temp.moment(19, i)
FROM size, generate_series(1, least(size.conversations, 100000)) AS i;

INSERT INTO chatapp.integrations (id, company_id, chatbot_id, type, status, config, created_at, updated_at)
SELECT
  pg_temp.id('integration', i), pg_temp.id('company', i), NULL,
  (ARRAY['whatsapp', 'facebook', 'slack', 'zapier', 'webhook'])[1 + pg_temp.roll(25, i, 5)]::public.integration_type,
  (ARRAY['active', 'inactive', 'error'])[1 + pg_temp.roll(26, i, 3)]::public.integration_status,
  jsonb_build_object('channel', 'C' || i), pg_temp.moment(27, i), pg_temp.moment(27, i)
FROM size, generate_series(1, size.companies, 3) AS i;

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
