-- parameters: company

-- Its row, locked: what would refer to it from now on waits. And the transaction that wrote it, which made the rest of its rows.
SELECT xmin::text FROM chatapp.companies WHERE id = $1::uuid FOR UPDATE
