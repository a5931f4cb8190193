-- steps: 9-11

-- The document's third integrity test can't fail: a foreign key holds it. What can be wrong is whose row it is.
-- check: calls-one-tenant: a call, its chatbot, end user, conversation and account are of one company
SELECT c.id AS call, c.company_id
FROM chatapp.calls AS c
JOIN chatapp.chatbots AS b ON b.id = c.chatbot_id
LEFT JOIN chatapp.end_users AS e ON e.id = c.end_user_id
LEFT JOIN chatapp.conversations AS v ON v.id = c.conversation_id
LEFT JOIN chatapp.integration_accounts AS a ON a.id = c.integration_account_id
WHERE c.company_id <> b.company_id
   OR c.company_id <> e.company_id
   OR c.company_id <> v.company_id
   OR c.company_id <> a.company_id;

-- check: calls-timed: calls are answered after they start and end after they are answered; duration is the seconds between
SELECT id AS call, started_at, answered_at, ended_at, duration
FROM chatapp.calls
WHERE answered_at < started_at
   OR ended_at < COALESCE(answered_at, started_at)
   OR duration < 0
   OR (duration IS NOT NULL AND answered_at IS NULL)
   OR (duration IS NOT NULL AND ended_at IS NOT NULL
       AND abs(duration - extract(epoch FROM ended_at - answered_at)) > 1);

-- check: transcripts-in-call: no line of a transcript begins after its call has ended
SELECT t.id AS transcript, t.call_id, t.start_time
FROM chatapp.call_transcripts AS t
JOIN chatapp.calls AS c ON c.id = t.call_id
WHERE t.start_time < 0
   OR t.start_time > extract(epoch FROM c.ended_at - c.answered_at) * 1000 + 1000;
