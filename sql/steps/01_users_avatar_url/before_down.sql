-- Step 1 down, before: with --truncate-avatars, addresses that are too long are saved and shortened.
-- Specification: L607-629. Without the option preflight refuses while there is one.

-- callctl: batched, again
WITH found AS (
  SELECT id, avatar_url FROM chatapp.users
  WHERE length(avatar_url) > (SELECT callctl.remembered_length(1))
    AND (SELECT current_setting('callctl.truncate_avatars', true)) = 'on'
  FOR NO KEY UPDATE
), saved AS (
  INSERT INTO callctl.saved_value (user_id, field, saved_by, value, left_there)
  SELECT id, 'avatar_url', 'down', to_jsonb(avatar_url), to_jsonb(left(avatar_url, (SELECT callctl.remembered_length(1))))
  FROM found
  ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
  DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now()
)
UPDATE chatapp.users AS u SET avatar_url = left(found.avatar_url, (SELECT callctl.remembered_length(1)))
FROM found WHERE u.id = found.id;

-- The change of type below rewrites the table under this lock. Taken here, it keeps the application from writing another long
-- address between the statement above, which runs again behind it, and the change of type.
-- callctl: rewrites
CALL callctl.lock_table('chatapp.users'::regclass);

-- What PostgreSQL does not give the indexes and statistics objects that it makes again for the other type.
SELECT callctl.remember_settings(1, 'chatapp.users'::regclass, 'avatar_url'::name);

-- fix: callctl migrate down --to 0 --truncate-avatars saves each address that is too long, and shortens it
-- check: avatars-fit: every avatar_url fits the type that the column gets back
SELECT id, length(avatar_url) AS characters FROM chatapp.users WHERE length(avatar_url) > (SELECT callctl.remembered_length(1));
