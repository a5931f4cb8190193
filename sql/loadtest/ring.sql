-- from: L1432-1448
-- who: the application
-- parameters: call, company
-- index: calls_pkey

-- The call rings.
UPDATE chatapp.calls
SET status = 'ringing', started_at = clock_timestamp()
WHERE id = $1::uuid
  AND company_id = $2::uuid
