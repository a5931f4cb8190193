-- Step 1: users.avatar_url becomes text, so that it can hold data URIs and signed URLs.
-- Specification: section 3. Metadata only: varchar to text rewrites no row and no index.

ALTER TABLE chatapp.users ALTER COLUMN avatar_url TYPE text;
