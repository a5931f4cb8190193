-- Step 1, after: URLs that an earlier down shortened are restored in full, if the shortened one is still stored.

-- For the new type PostgreSQL has made the column's indexes and statistics objects again, without all that they had.
SELECT callctl.put_back_settings(1);

-- callctl: batched
WITH kept AS (
  SELECT s.row_id, s.value, s.left_there
  FROM callctl.saved_value AS s
  JOIN chatapp.users AS u ON u.id = s.user_id
  WHERE s.field = 'avatar_url' AND s.saved_by = 'down' AND s.superseded_at IS NULL
    AND to_jsonb(u.avatar_url) = s.left_there AND s.left_there <> s.value
  FOR NO KEY UPDATE OF s
)
UPDATE chatapp.users AS u SET avatar_url = kept.value #>> '{}'
FROM kept
WHERE u.id = kept.row_id AND to_jsonb(u.avatar_url) = kept.left_there;

-- How its CHECKs and indexes are printed now: those that are the same when the step is taken back get their definitions of before.
SELECT callctl.remember_forms(1, 'form after', 'chatapp.users'::regclass, 'avatar_url'::name);

DELETE FROM callctl.saved_value AS s
USING chatapp.users AS u
WHERE u.id = s.user_id AND s.field = 'avatar_url' AND s.saved_by = 'down' AND s.superseded_at IS NULL
  AND to_jsonb(u.avatar_url) = s.value;

UPDATE callctl.saved_value SET superseded_at = now()
WHERE user_id IS NOT NULL AND field = 'avatar_url' AND saved_by = 'down' AND superseded_at IS NULL;

-- Changing the type throws the planner's statistics of the column away. By itself: it waits for an autovacuum in its way.
-- callctl: no-transaction
ANALYZE chatapp.users (avatar_url);
