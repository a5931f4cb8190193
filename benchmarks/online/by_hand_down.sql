-- users.avatar_url back to varchar(500) through a shadow column, as a careful DBA writes it: step 1 only, one session, no journal.

ALTER TABLE chatapp.users ADD COLUMN avatar_short varchar(500);
CREATE FUNCTION chatapp.keep_short() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- A fill changes nothing else: what other triggers would change is put back.
  IF TG_OP = 'UPDATE' AND current_setting('by_hand.fill', true) = 'on' THEN
    NEW := OLD;
  END IF;
  NEW.avatar_short := left(NEW.avatar_url, 500);
  RETURN NEW;
END
$$;
CREATE TRIGGER zz_keep_short BEFORE INSERT OR UPDATE ON chatapp.users FOR EACH ROW EXECUTE FUNCTION chatapp.keep_short();
ALTER TABLE chatapp.users ENABLE ALWAYS TRIGGER zz_keep_short;

SET by_hand.fill = 'on';
CALL chatapp.in_batches('chatapp.users', $$UPDATE chatapp.users SET avatar_short = left(avatar_url, 500)
  WHERE id > $1 AND id <= $2 AND avatar_url IS NOT NULL$$);
RESET by_hand.fill;

ALTER TABLE chatapp.users ADD CONSTRAINT same CHECK (avatar_short IS NOT DISTINCT FROM avatar_url) NOT VALID;
ALTER TABLE chatapp.users VALIDATE CONSTRAINT same;
BEGIN;
LOCK TABLE chatapp.users IN ACCESS EXCLUSIVE MODE;
DROP TRIGGER zz_keep_short ON chatapp.users;
ALTER TABLE chatapp.users DROP CONSTRAINT same;
ALTER TABLE chatapp.users DROP COLUMN avatar_url;
ALTER TABLE chatapp.users RENAME COLUMN avatar_short TO avatar_url;
COMMIT;
