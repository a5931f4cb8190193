-- The kinds of DDL that the steps are made of, on a table of callctl's own, in a transaction that is rolled back: whether an event
-- trigger lets them through. No table of the platform is locked. "for" says which steps need the statement, up and down.

-- for: up 9-11
CREATE TABLE chatapp.callctl_trial (id uuid PRIMARY KEY, address varchar(50), flag boolean NOT NULL DEFAULT true);

-- for: up 1; down 1
ALTER TABLE chatapp.callctl_trial ALTER COLUMN address TYPE text;

-- for: up 2-3, 7; down 5-6
ALTER TABLE chatapp.callctl_trial ADD COLUMN other boolean NOT NULL DEFAULT false;

-- for: up 4-7; down 2-3, 5-6
ALTER TABLE chatapp.callctl_trial ADD CONSTRAINT callctl_trial_check CHECK (flag OR other) NOT VALID;

-- for: up 4-7; down 2-3, 5-6
ALTER TABLE chatapp.callctl_trial VALIDATE CONSTRAINT callctl_trial_check;

-- for: up 4, 7, 9-11; down 5-6
CREATE INDEX callctl_trial_flag ON chatapp.callctl_trial (flag);

-- for: down 4, 7
DROP INDEX chatapp.callctl_trial_flag;

-- for: up 2-3, 6, 9; down 5-6
CREATE FUNCTION chatapp.callctl_trial_function() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';

-- for: up 6
COMMENT ON FUNCTION chatapp.callctl_trial_function() IS 'tried by callctl';

-- for: up 2-3, 6, 9-10; down 5-6
CREATE TRIGGER callctl_trial BEFORE UPDATE ON chatapp.callctl_trial
  FOR EACH ROW EXECUTE FUNCTION chatapp.callctl_trial_function();

-- for: up 5-6; down 2-3, 6, 9-10
DROP TRIGGER callctl_trial ON chatapp.callctl_trial;

-- for: up 5-6; down 2-3, 6, 9
DROP FUNCTION chatapp.callctl_trial_function();

-- for: up 5-6; down 2-4, 7
ALTER TABLE chatapp.callctl_trial DROP CONSTRAINT callctl_trial_check;

-- for: up 5-6; down 2-3, 7
ALTER TABLE chatapp.callctl_trial DROP COLUMN other;

-- for: down 6
CREATE TYPE chatapp.callctl_trial_type AS ENUM ('chat', 'call');

-- for: up 6
DROP TYPE chatapp.callctl_trial_type;

-- for: down 9-11
CREATE SCHEMA callctl_trial;

-- for: down 9-11
ALTER TABLE chatapp.callctl_trial SET SCHEMA callctl_trial;
