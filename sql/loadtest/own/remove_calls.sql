-- parameters: company, most

-- Some of its calls, and their transcripts with them.
DELETE FROM chatapp.calls
WHERE id IN (SELECT id FROM chatapp.calls WHERE company_id = $1::uuid AND deleted_at IS NULL LIMIT $2::integer)
