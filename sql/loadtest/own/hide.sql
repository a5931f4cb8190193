-- parameters: company

-- Soft-deleted from the start, where the table knows of that: no list of companies shows it.
UPDATE chatapp.companies SET deleted_at = now() WHERE id = $1::uuid
