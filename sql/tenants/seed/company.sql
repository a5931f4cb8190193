-- The company that the development accounts belong to: the first.
SELECT c.id::text FROM chatapp.companies AS c WHERE c.deleted_at IS NULL ORDER BY c.id LIMIT 1
