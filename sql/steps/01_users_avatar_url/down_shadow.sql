-- Step 1 down, through a shadow column: users.avatar_url gets its old type back, and no one waits for a rewrite of the table.
-- A column of the old type is filled beside it, proved to be the same, and gets its name. down.sql does it in place.
-- Specification: L607-629. Each statement may run again: a run that is resumed begins with the first.

-- The empty column, two triggers that keep it the same as avatar_url from here on, and what is written down: the statements
-- by which its indexes, CHECKs and the rest are made below.
-- callctl: commit
CALL callctl.begin_shadow(1, 'chatapp.users'::regclass, 'avatar_url'::name, 'callctl_avatar_url');

-- The rows that were there before. One of the two triggers puts back what others' triggers change, such as updated_at.
-- callctl: batched
UPDATE chatapp.users AS u SET callctl_avatar_url = left(u.avatar_url, (SELECT callctl.remembered_length(1)))
WHERE u.callctl_avatar_url::text COLLATE "C" IS DISTINCT FROM left(u.avatar_url, (SELECT callctl.remembered_length(1))) COLLATE "C";

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.definition WHERE step = 1 AND kind = 'shadow index' ORDER BY ordinal;

-- With --truncate-avatars, addresses that are too long are saved and shortened. Without the option preflight refuses while
-- there is one.
-- callctl: batched
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

-- fix: callctl migrate down --to 0 --truncate-avatars saves each address that is too long, and shortens it
-- check: avatars-fit: every avatar_url fits the type that the column gets back
-- callctl: commit
SELECT id, length(avatar_url) AS characters FROM chatapp.users WHERE length(avatar_url) > (SELECT callctl.remembered_length(1));

-- From here on the database refuses an address that is too long, as it will with the old type: a CHECK, of new rows only.
-- callctl: commit
CALL callctl.promise_shadow('chatapp.users'::regclass, 'avatar_url'::name, 'callctl_avatar_url', callctl.remembered_length(1));

-- Those that were written between the two.
-- callctl: batched
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

-- Every row is read, and none waits: the two columns agree, and no address is too long. Rows that say otherwise are named, and
-- the CHECK goes.
-- callctl: no-transaction, again
CALL callctl.prove_shadow('chatapp.users'::regclass, 'avatar_url'::name, 'callctl_avatar_url', callctl.remembered_length(1));

-- What could refuse a shortened address comes only now that there is none.
-- callctl: generated, no-transaction
SELECT ddl FROM callctl.definition WHERE step = 1 AND kind = 'shadow unique index' ORDER BY ordinal;

-- callctl: generated, commit
SELECT ddl FROM callctl.definition WHERE step = 1 AND kind = 'shadow check' ORDER BY ordinal;

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.definition WHERE step = 1 AND kind = 'shadow validate' ORDER BY ordinal;

-- callctl: generated, no-transaction
SELECT ddl FROM callctl.definition WHERE step = 1 AND kind = 'shadow statistics' ORDER BY ordinal;

-- callctl: no-transaction
ANALYZE chatapp.users;

-- One short lock, behind which no row is read: the CHECK is there and validated, avatar_url goes, and the shadow gets its name.
CALL callctl.swap_shadow(1, 'chatapp.users'::regclass, 'avatar_url'::name);

DELETE FROM callctl.definition WHERE step = 1;
