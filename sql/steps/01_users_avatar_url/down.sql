-- Step 1, back: users.avatar_url gets its old type. PostgreSQL rewrites the table for it, under an exclusive lock.
-- Specification: L607-629. Longer addresses make preflight refuse, unless --truncate-avatars: then they are saved first.

-- Repeated for what the application writes behind the batches.
-- callctl: batched, again
WITH found AS (
  SELECT id, avatar_url FROM chatapp.users
  WHERE length(avatar_url) > (SELECT callctl.remembered_length(1))
    AND (SELECT current_setting('callctl.truncate_avatars', true)) = 'on'
  FOR NO KEY UPDATE
), saved AS (
  INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, value, left_there)
  SELECT 'users', 'avatar_url', 'down', id, to_jsonb(avatar_url), to_jsonb(left(avatar_url, (SELECT callctl.remembered_length(1))))
  FROM found
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
  DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now()
)
UPDATE chatapp.users AS u SET avatar_url = left(found.avatar_url, (SELECT callctl.remembered_length(1)))
FROM found WHERE u.id = found.id;

-- check: avatars-fit: every avatar_url fits the type it goes back to
SELECT id, length(avatar_url) AS characters FROM chatapp.users WHERE length(avatar_url) > (SELECT callctl.remembered_length(1));

-- callctl: generated, rewrites
SELECT ddl FROM callctl.definition WHERE step = 1 AND kind = 'column type' ORDER BY ordinal;

DELETE FROM callctl.definition WHERE step = 1;

-- Changing the type throws the planner's statistics of the column away. By itself: an autovacuum in its way is waited for.
-- callctl: no-transaction
ANALYZE chatapp.users (avatar_url);
