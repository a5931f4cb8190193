-- parameters: company, slug

-- The company itself, only if it is still the one that was made; what is left of its own goes with it.
DELETE FROM chatapp.companies WHERE id = $1::uuid AND slug = $2
