-- Step 1: users.avatar_url becomes text, so that it can hold data URIs and signed URLs.
-- Specification: section 3. Metadata only: varchar to text rewrites no row and no index.

SELECT callctl.remember_column_type(1, 'chatapp.users'::regclass, 'avatar_url'::name);

ALTER TABLE chatapp.users ALTER COLUMN avatar_url TYPE text;

-- Addresses that an earlier down shortened come back in full, where the shortened one still stands.
-- callctl: batched
WITH kept AS (
  SELECT id, row_id, value, left_there FROM callctl.saved_value
  WHERE relation = 'users' AND field = 'avatar_url' AND saved_by = 'down' AND superseded_at IS NULL
  FOR NO KEY UPDATE
), back AS (
  UPDATE chatapp.users AS u SET avatar_url = kept.value #>> '{}'
  FROM kept WHERE u.id = kept.row_id AND to_jsonb(u.avatar_url) = kept.left_there
  RETURNING kept.id
)
DELETE FROM callctl.saved_value AS s USING back WHERE s.id = back.id;

UPDATE callctl.saved_value SET superseded_at = now()
WHERE relation = 'users' AND field = 'avatar_url' AND saved_by = 'down' AND superseded_at IS NULL;

-- Changing the type throws the planner's statistics of the column away. By itself: an autovacuum in its way is waited for.
-- callctl: no-transaction
ANALYZE chatapp.users (avatar_url);
