-- parameters: company, chatbot, end_users, conversation, account, first, last

-- Calls that were over before the test began, with twelve lines each, spread over thirty days.
WITH made AS (
  INSERT INTO chatapp.calls (company_id, chatbot_id, end_user_id, conversation_id, integration_account_id, call_sid, source,
                             direction, status, from_number, to_number, duration, ai_provider, model_id, call_quality,
                             sentiment_score, started_at, answered_at, ended_at, created_at)
  SELECT $1::uuid, $2::uuid, ($3::uuid[])[1 + i % cardinality($3::uuid[])], $4::uuid, $5::uuid,
         'CA' || md5($1 || ':' || i), 'twilio', 'inbound', 'completed', '+15550100', '+15550199', 60, 'openai',
         'gpt-4o-realtime-preview-2024-10-01', 1 + i % 5, i % 201 - 100, at, at + interval '4 s', at + interval '64 s', at
  FROM (SELECT i, now() - interval '1 hour' - random() * interval '30 days' AS at
        FROM generate_series($6::integer, $7::integer) AS i) AS times
  RETURNING id, answered_at
)
INSERT INTO chatapp.call_transcripts (call_id, role, content, start_time, end_time, duration, confidence, created_at)
SELECT id, CASE WHEN n % 2 = 0 THEN 'assistant' ELSE 'user' END,
       CASE WHEN n % 2 = 0 THEN 'Thank you. Is there anything else that I can do for you today?'
            WHEN random() < 0.05 THEN 'I want a refund for the order of last week, please.'
            ELSE 'Could you tell me when the order ' || md5(id::text || n) || ' will be here?' END,
       n * 5000, n * 5000 + 3000, 3000, round((1 - random() * random() * 0.5)::numeric, 4),
       answered_at + n * interval '5 s'
FROM made, generate_series(0, 11) AS n
