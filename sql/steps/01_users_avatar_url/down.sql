-- Step 1 down: users.avatar_url gets its old type. PostgreSQL rewrites the table for it, under an exclusive lock.
-- Specification: L607-629.

-- callctl: generated, rewrites
SELECT ddl FROM callctl.definition WHERE step = 1 AND kind = 'column type' ORDER BY ordinal;
