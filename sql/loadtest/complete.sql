-- from: L1432-1448, L1468
-- who: the application
-- parameters: call, company
-- index: calls_pkey

-- The call ends.
UPDATE chatapp.calls
SET status = 'completed', ended_at = clock_timestamp(),
    duration = round(extract(epoch FROM clock_timestamp() - answered_at))::integer
WHERE id = $1::uuid
  AND company_id = $2::uuid
