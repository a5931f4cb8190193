-- from: L1432-1448
-- who: the application
-- parameters: call, company
-- index: calls_pkey

-- It is answered, and audio streams.
UPDATE chatapp.calls
SET status = 'in_progress', answered_at = clock_timestamp()
WHERE id = $1::uuid
  AND company_id = $2::uuid
