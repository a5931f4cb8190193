-- callctl's own schema: what it did, how far it came, and everything it must be able to put back.
-- Safe to run again. psql -f runs it as it is, before the steps.

-- What this session writes to callctl's tables is counted (callctl.tally); what others write there by hand is not.
SET callctl.writes = 'on';

-- Functions have a search_path of their own (pg_catalog first), but for those that write to the platform's tables or alter them:
-- the platform's triggers and event triggers, which they fire, run with the session's.

CREATE SCHEMA IF NOT EXISTS callctl;
COMMENT ON SCHEMA callctl IS 'callctl: history of the voice call migration, and what it saved so that it can go back';

CREATE TABLE IF NOT EXISTS callctl.installation (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  platform_schema text NOT NULL,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  counted text[] NOT NULL DEFAULT '{}'
);
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'callctl.installation'::regclass AND attname = 'counted') THEN
    ALTER TABLE callctl.installation ADD COLUMN counted text[] NOT NULL DEFAULT '{}';
  END IF;
END $$;
COMMENT ON TABLE callctl.installation IS 'One row: the schema of the platform that this database''s migration belongs to';
COMMENT ON COLUMN callctl.installation.only_one IS 'Always true: there is one row';
COMMENT ON COLUMN callctl.installation.platform_schema IS 'The schema that holds chatbots, companies and the rest';
COMMENT ON COLUMN callctl.installation.created_at IS 'When callctl first wrote here';
COMMENT ON COLUMN callctl.installation.counted IS 'The tables whose rows callctl.tally has begun to count: it begins once, so that an emptied tally is noticed';

CREATE TABLE IF NOT EXISTS callctl.history (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  step integer NOT NULL,
  direction text NOT NULL CHECK (direction IN ('up', 'down')),
  file text NOT NULL,
  sha256 text NOT NULL,
  started_at timestamp with time zone NOT NULL,
  finished_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  database_role text NOT NULL DEFAULT session_user,
  client text NOT NULL,
  callctl_version text NOT NULL,
  adopted boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE callctl.history IS 'One row for each step taken, up or down. Rows are only ever added';
COMMENT ON COLUMN callctl.history.id IS 'Order in which the steps were taken';
COMMENT ON COLUMN callctl.history.step IS 'Number of the step, 1 to 13';
COMMENT ON COLUMN callctl.history.direction IS 'up or down';
COMMENT ON COLUMN callctl.history.file IS 'The SQL file, relative to sql/';
COMMENT ON COLUMN callctl.history.sha256 IS 'SHA-256 of the file as it was when it ran, in hex';
COMMENT ON COLUMN callctl.history.started_at IS 'When the run of this step began';
COMMENT ON COLUMN callctl.history.finished_at IS 'When its last transaction wrote this row';
COMMENT ON COLUMN callctl.history.database_role IS 'The role that was connected';
COMMENT ON COLUMN callctl.history.client IS 'User and host that ran callctl';
COMMENT ON COLUMN callctl.history.callctl_version IS 'Version of callctl that ran it';
COMMENT ON COLUMN callctl.history.adopted IS 'True where the step was found done, proved by its verify, and only recorded';

CREATE TABLE IF NOT EXISTS callctl.checkpoint (
  step integer NOT NULL,
  direction text NOT NULL CHECK (direction IN ('up', 'down')),
  sha256 text NOT NULL,
  statement integer NOT NULL,
  finished boolean NOT NULL,
  changed bigint NOT NULL DEFAULT 0,
  written_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (step, direction, statement)
);
COMMENT ON TABLE callctl.checkpoint IS 'How far the step under way has come; emptied when the step is done';
COMMENT ON COLUMN callctl.checkpoint.step IS 'Number of the step under way';
COMMENT ON COLUMN callctl.checkpoint.direction IS 'up or down';
COMMENT ON COLUMN callctl.checkpoint.sha256 IS 'SHA-256 of the file; a checkpoint of another file does not count';
COMMENT ON COLUMN callctl.checkpoint.statement IS 'Number of the statement in the file, from 1';
COMMENT ON COLUMN callctl.checkpoint.finished IS 'True when the whole statement is committed';
COMMENT ON COLUMN callctl.checkpoint.changed IS 'Rows written so far';
COMMENT ON COLUMN callctl.checkpoint.written_at IS 'When this was committed';

CREATE UNLOGGED TABLE IF NOT EXISTS callctl.work_list (
  ordinal bigint PRIMARY KEY,
  key uuid NOT NULL
);
COMMENT ON TABLE callctl.work_list IS
  'The rows that the batched statement under way has to touch; made anew when a run goes on, and lost in a crash without harm';
COMMENT ON COLUMN callctl.work_list.ordinal IS 'Order in which they are touched, from 1: that of the table on disk';
COMMENT ON COLUMN callctl.work_list.key IS 'Primary key of the row';

CREATE UNLOGGED TABLE IF NOT EXISTS callctl.work_done (
  session integer PRIMARY KEY,
  listed bigint NOT NULL,
  done bigint NOT NULL
);
COMMENT ON TABLE callctl.work_done IS
  'How far the batched statement under way has come; each session writes a row of its own, so that none waits for another';
COMMENT ON COLUMN callctl.work_done.session IS 'Server process of a session that writes batches';
COMMENT ON COLUMN callctl.work_done.listed IS 'Rows of the work list, in the row of the session that made it; 0 in the others';
COMMENT ON COLUMN callctl.work_done.done IS 'Rows of the work list that this session has written, in the transactions that wrote them';

CREATE TABLE IF NOT EXISTS callctl.definition (
  step integer NOT NULL,
  ordinal integer NOT NULL,
  relation text NOT NULL,
  kind text NOT NULL,
  name text NOT NULL,
  ddl text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (step, ordinal)
);
COMMENT ON TABLE callctl.definition IS 'The statements that put back, in order, what a step removed or redefined';
COMMENT ON COLUMN callctl.definition.step IS 'The step that removed it';
COMMENT ON COLUMN callctl.definition.ordinal IS 'Order of the statements within the step';
COMMENT ON COLUMN callctl.definition.relation IS 'The table, by its documented name';
COMMENT ON COLUMN callctl.definition.kind IS 'type, column, default, index, after index, constraint, validate, statistics, comment, grant, setting, column setting, fillfactor, trigger, foreign key, newest row, form before or after, or shadow and one of these';
COMMENT ON COLUMN callctl.definition.name IS 'The object''s name in this database';
COMMENT ON COLUMN callctl.definition.ddl IS 'One statement, as it will run; of a foreign key or a form, what comes behind its name';
COMMENT ON COLUMN callctl.definition.detail IS 'What else is known of the object: its type, its length limit';

CREATE TABLE IF NOT EXISTS callctl.made (
  step integer NOT NULL,
  kind text NOT NULL CHECK (kind IN ('column', 'function', 'row')),
  relation text NOT NULL,
  name text NOT NULL,
  made_at timestamp with time zone NOT NULL DEFAULT now(),
  PRIMARY KEY (kind, relation, name)
);
COMMENT ON TABLE callctl.made IS 'What callctl created where it might have found it: down removes these, and leaves what was found';
COMMENT ON COLUMN callctl.made.step IS 'The step that made it';
COMMENT ON COLUMN callctl.made.kind IS 'column, function or row';
COMMENT ON COLUMN callctl.made.relation IS 'The table, by its documented name; for a function, its schema';
COMMENT ON COLUMN callctl.made.name IS 'Name of the column or function; primary key of the row';
COMMENT ON COLUMN callctl.made.made_at IS 'When it was made';

CREATE TABLE IF NOT EXISTS callctl.saved_value (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id uuid,
  company_id uuid,
  chatbot_id uuid,
  chatbot_package_id uuid,
  ai_model_id uuid,
  relation text GENERATED ALWAYS AS (CASE
    WHEN user_id IS NOT NULL THEN 'users'
    WHEN company_id IS NOT NULL THEN 'companies'
    WHEN chatbot_id IS NOT NULL THEN 'chatbots'
    WHEN chatbot_package_id IS NOT NULL THEN 'chatbot_packages'
    ELSE 'ai_models' END) STORED,
  row_id uuid GENERATED ALWAYS AS (coalesce(user_id, company_id, chatbot_id, chatbot_package_id, ai_model_id)) STORED,
  field text NOT NULL,
  saved_by text NOT NULL CHECK (saved_by IN ('up', 'down')),
  value jsonb,
  left_there jsonb,
  saved_at timestamp with time zone NOT NULL DEFAULT now(),
  superseded_at timestamp with time zone,
  CONSTRAINT saved_value_one_row CHECK (num_nonnulls(user_id, company_id, chatbot_id, chatbot_package_id, ai_model_id) = 1)
);
-- The row comes first: a uuid decides a comparison at once, where the texts before it would be the same for most.
DO $$ BEGIN
  -- IF NOT EXISTS would lock out applications whose triggers write here, before it looks.
  IF to_regclass('callctl.saved_value_one_live') IS NULL THEN
    CREATE UNIQUE INDEX saved_value_one_live ON callctl.saved_value (row_id, field, relation, saved_by)
      WHERE superseded_at IS NULL;
  END IF;
END $$;
COMMENT ON INDEX callctl.saved_value_one_live IS 'One value waits to be put back; superseded ones beside it are only listed';
DO $$ BEGIN
  IF to_regclass('callctl.saved_value_user') IS NULL THEN
    CREATE INDEX saved_value_user ON callctl.saved_value (user_id) WHERE user_id IS NOT NULL;
  END IF;
END $$;
COMMENT ON INDEX callctl.saved_value_user IS 'The values of one user, for the foreign key';
DO $$ BEGIN
  IF to_regclass('callctl.saved_value_company') IS NULL THEN
    CREATE INDEX saved_value_company ON callctl.saved_value (company_id) WHERE company_id IS NOT NULL;
  END IF;
END $$;
COMMENT ON INDEX callctl.saved_value_company IS 'The values of one company, for the foreign key';
DO $$ BEGIN
  IF to_regclass('callctl.saved_value_chatbot') IS NULL THEN
    CREATE INDEX saved_value_chatbot ON callctl.saved_value (chatbot_id) WHERE chatbot_id IS NOT NULL;
  END IF;
END $$;
COMMENT ON INDEX callctl.saved_value_chatbot IS 'The values of one chatbot, for the foreign key and for the trigger that looks for them';
DO $$ BEGIN
  IF to_regclass('callctl.saved_value_chatbot_package') IS NULL THEN
    CREATE INDEX saved_value_chatbot_package ON callctl.saved_value (chatbot_package_id)
      WHERE chatbot_package_id IS NOT NULL;
  END IF;
END $$;
COMMENT ON INDEX callctl.saved_value_chatbot_package IS 'The values of one package, for the foreign key and for the trigger that looks for them';
DO $$ BEGIN
  IF to_regclass('callctl.saved_value_ai_model') IS NULL THEN
    CREATE INDEX saved_value_ai_model ON callctl.saved_value (ai_model_id) WHERE ai_model_id IS NOT NULL;
  END IF;
END $$;
COMMENT ON INDEX callctl.saved_value_ai_model IS 'The values of one model, for the foreign key';
COMMENT ON TABLE callctl.saved_value IS 'Values that a step removed or overwrote; the opposite direction puts them back';
COMMENT ON COLUMN callctl.saved_value.id IS 'Order in which they were saved';
COMMENT ON COLUMN callctl.saved_value.user_id IS 'The row, where it is a user: deleted with it, and changed with its key (store_keys.sql)';
COMMENT ON COLUMN callctl.saved_value.company_id IS 'The row, where it is a company';
COMMENT ON COLUMN callctl.saved_value.chatbot_id IS 'The row, where it is a chatbot';
COMMENT ON COLUMN callctl.saved_value.chatbot_package_id IS 'The row, where it is a package';
COMMENT ON COLUMN callctl.saved_value.ai_model_id IS 'The row, where it is a model';
COMMENT ON COLUMN callctl.saved_value.relation IS 'The table, by its documented name';
COMMENT ON COLUMN callctl.saved_value.row_id IS 'Primary key of the row';
COMMENT ON COLUMN callctl.saved_value.field IS 'The column or settings path: chatbot_type, capabilities, avatar_url, settings.call, and so on';
COMMENT ON COLUMN callctl.saved_value.saved_by IS 'The direction that took the value away; the other one puts it back';
COMMENT ON COLUMN callctl.saved_value.value IS 'The value that was there; NULL for SQL NULL';
COMMENT ON COLUMN callctl.saved_value.left_there IS 'What callctl left in its place; the value goes back only where this is still stored';
COMMENT ON COLUMN callctl.saved_value.saved_at IS 'When it was saved';
COMMENT ON COLUMN callctl.saved_value.superseded_at IS 'When a newer write was found in its place; listed until purge, never put back';

CREATE TABLE IF NOT EXISTS callctl.known_before (
  step integer PRIMARY KEY,
  known_at timestamp with time zone NOT NULL DEFAULT now()
);
COMMENT ON TABLE callctl.known_before IS
  'Steps before which everything was saved that they could overwrite: where nothing is saved of a row, there was nothing. Not so of a step that was done without callctl, or after callctl purge';
COMMENT ON COLUMN callctl.known_before.step IS 'The step; its row is deleted when the step is taken back';
COMMENT ON COLUMN callctl.known_before.known_at IS 'When everything was saved';

CREATE TABLE IF NOT EXISTS callctl.saved_row (
  relation text NOT NULL,
  row_id uuid NOT NULL,
  contents jsonb NOT NULL,
  saved_at timestamp with time zone NOT NULL DEFAULT now(),
  superseded_at timestamp with time zone,
  PRIMARY KEY (relation, row_id)
);
COMMENT ON TABLE callctl.saved_row IS 'Whole rows that a down took away; the next up brings them back as they were';
COMMENT ON COLUMN callctl.saved_row.relation IS 'The table, by its documented name';
COMMENT ON COLUMN callctl.saved_row.row_id IS 'Primary key of the row';
COMMENT ON COLUMN callctl.saved_row.contents IS 'The row, every column';
COMMENT ON COLUMN callctl.saved_row.saved_at IS 'When it was taken away';
COMMENT ON COLUMN callctl.saved_row.superseded_at IS 'When another row was found under its key; listed until purge, never put back';

CREATE TABLE IF NOT EXISTS callctl.seeded_model (
  model_id uuid PRIMARY KEY,
  contents jsonb NOT NULL,
  seeded_at timestamp with time zone NOT NULL DEFAULT now()
);
COMMENT ON TABLE callctl.seeded_model IS
  'What seed-models last wrote into each model: a field that still says so is the catalogue''s, another an administrator''s';
COMMENT ON COLUMN callctl.seeded_model.model_id IS 'Primary key of the model';
COMMENT ON COLUMN callctl.seeded_model.contents IS 'The fields that it wrote, in the names and units of the catalogue';
COMMENT ON COLUMN callctl.seeded_model.seeded_at IS 'When it last wrote one';

CREATE TABLE IF NOT EXISTS callctl.withheld_model (
  model_id uuid PRIMARY KEY,
  contents jsonb NOT NULL,
  withheld_at timestamp with time zone NOT NULL DEFAULT now()
);
COMMENT ON TABLE callctl.withheld_model IS
  'Models that callctl inserted while a type column waits to be dropped, and made inactive. Step 6 makes those active that are stored as they were left';
COMMENT ON COLUMN callctl.withheld_model.model_id IS 'Primary key of the model';
COMMENT ON COLUMN callctl.withheld_model.contents IS 'The row as callctl left it, every column, times in UTC';
COMMENT ON COLUMN callctl.withheld_model.withheld_at IS 'When callctl made it inactive';

CREATE TABLE IF NOT EXISTS callctl.inheritance_breach (
  chatbot_id uuid PRIMARY KEY,
  recorded_at timestamp with time zone NOT NULL DEFAULT now()
);
COMMENT ON TABLE callctl.inheritance_breach IS 'Chatbots that had a capability their package does not allow when the rule arrived (step 6)';
COMMENT ON COLUMN callctl.inheritance_breach.chatbot_id IS 'The chatbot';
COMMENT ON COLUMN callctl.inheritance_breach.recorded_at IS 'When it was recorded';

CREATE TABLE IF NOT EXISTS callctl.action (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  command text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}',
  taken_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  database_role text NOT NULL DEFAULT session_user,
  client text NOT NULL,
  callctl_version text NOT NULL
);
COMMENT ON TABLE callctl.action IS
  'The audit trail: one row for each command that wrote outside of the steps and the rotations. Rows are only ever added';
COMMENT ON COLUMN callctl.action.id IS 'Order in which they were taken';
COMMENT ON COLUMN callctl.action.command IS 'The command, without its options: companies enable, seed-models, and so on';
COMMENT ON COLUMN callctl.action.detail IS 'What it wrote: keys of rows, counts, values before and after; never a secret';
COMMENT ON COLUMN callctl.action.taken_at IS 'When it was written, in the transaction of what it tells of';
COMMENT ON COLUMN callctl.action.database_role IS 'The role that was connected';
COMMENT ON COLUMN callctl.action.client IS 'User and host that ran callctl';
COMMENT ON COLUMN callctl.action.callctl_version IS 'Version of callctl that ran it';

CREATE TABLE IF NOT EXISTS callctl.load_test (
  company_id uuid PRIMARY KEY,
  slug text NOT NULL,
  started_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  client text NOT NULL,
  callctl_version text NOT NULL
);
COMMENT ON TABLE callctl.load_test IS
  'Companies that load tests made for themselves and have not removed yet: one while it runs, or left by one that was killed';
COMMENT ON COLUMN callctl.load_test.company_id IS 'Its row in companies: all that the load test wrote belongs to it';
COMMENT ON COLUMN callctl.load_test.slug IS 'The slug it was given, which holds its id: a row with another one is not removed';
COMMENT ON COLUMN callctl.load_test.started_at IS 'When it was made';
COMMENT ON COLUMN callctl.load_test.client IS 'User and host that ran callctl';
COMMENT ON COLUMN callctl.load_test.callctl_version IS 'Version of callctl that ran it';

CREATE TABLE IF NOT EXISTS callctl.encryption_key (
  id text PRIMARY KEY,
  check_value text NOT NULL,
  first_used_at timestamp with time zone NOT NULL DEFAULT now(),
  retired_at timestamp with time zone,
  encryptions bigint NOT NULL DEFAULT 0 CHECK (encryptions >= 0)
);
COMMENT ON TABLE callctl.encryption_key IS 'The keys that callctl has met here, by what it is safe to know of them; never a key itself';
COMMENT ON COLUMN callctl.encryption_key.id IS 'The id of callctl.yaml, which is the kid of the values';
COMMENT ON COLUMN callctl.encryption_key.check_value IS 'Tells a wrong key of this id from the right one: made from the key, and says nothing of it';
COMMENT ON COLUMN callctl.encryption_key.first_used_at IS 'When callctl first wrote here with this key in its ring';
COMMENT ON COLUMN callctl.encryption_key.retired_at IS 'When keys retire found no value under it any more; it encrypts nothing after that';
COMMENT ON COLUMN callctl.encryption_key.encryptions IS
  'Encryptions by callctl under this key in this database, counted before they are made; not those of the application';

CREATE TABLE IF NOT EXISTS callctl.rotation (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('credentials', 'webhook_secrets', 'webhook_secrets_back')),
  to_key text,
  binding text CHECK (binding IN ('keep', 'bind', 'unbind')),
  from_keys text[] NOT NULL DEFAULT '{}',
  fields text,
  started_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamp with time zone,
  outcome text CHECK (outcome IN ('done', 'given up')),
  database_role text NOT NULL DEFAULT session_user,
  client text NOT NULL,
  callctl_version text NOT NULL,
  counts jsonb NOT NULL DEFAULT '{}',
  failures bigint NOT NULL DEFAULT 0,
  CHECK ((finished_at IS NULL) = (outcome IS NULL))
);
-- Two callctl that begin at once begin one rotation: the second joins the first.
DO $$ BEGIN
  IF to_regclass('callctl.rotation_one_open') IS NULL THEN
    CREATE UNIQUE INDEX rotation_one_open ON callctl.rotation (kind) WHERE finished_at IS NULL;
  END IF;
END $$;
COMMENT ON INDEX callctl.rotation_one_open IS 'One rotation of a kind is under way at a time; several callctl may work at it';
COMMENT ON TABLE callctl.rotation IS 'The ledger: a row for each rotation, who, when, from which keys to which; never a value';
COMMENT ON COLUMN callctl.rotation.id IS 'Order in which they were begun';
COMMENT ON COLUMN callctl.rotation.kind IS 'credentials; webhook_secrets: new ones; webhook_secrets_back: those that were kept, put back';
COMMENT ON COLUMN callctl.rotation.to_key IS 'Id of the primary key, under which it encrypts';
COMMENT ON COLUMN callctl.rotation.binding IS
  'bind: to values bound to their row and field (version 2); unbind: to version 1; keep: as each value was';
COMMENT ON COLUMN callctl.rotation.from_keys IS 'Ids of the keys that values were found under and brought away from, plaintext among them';
COMMENT ON COLUMN callctl.rotation.fields IS
  'Which fields it goes through, and which rows --bind-new names, as a digest: only a run with the same may join. Of webhook secrets: which accounts';
COMMENT ON COLUMN callctl.rotation.started_at IS 'When it was begun';
COMMENT ON COLUMN callctl.rotation.finished_at IS 'When its last range was done; NULL while it is under way';
COMMENT ON COLUMN callctl.rotation.outcome IS 'done, or given up for another one that was begun instead';
COMMENT ON COLUMN callctl.rotation.database_role IS 'The role that was connected';
COMMENT ON COLUMN callctl.rotation.client IS 'User and host that began it';
COMMENT ON COLUMN callctl.rotation.callctl_version IS 'Version of callctl that began it';
COMMENT ON COLUMN callctl.rotation.counts IS
  'Rows read and written; values by account type, field and what they were under before; accounts of another shape; the rows that --bind-new named. Of webhook secrets: accounts done, the last of them';
COMMENT ON COLUMN callctl.rotation.failures IS 'Values left as they were because they do not open, or hold something else';

-- Its index comes with the table: CREATE INDEX, even of one that is there, would wait for a batch of somebody's.
CREATE TABLE IF NOT EXISTS callctl.rotation_range (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  rotation bigint NOT NULL REFERENCES callctl.rotation ON DELETE CASCADE,
  target text NOT NULL,
  above text,
  up_to text,
  reached text,
  row_count bigint NOT NULL,
  rows_done bigint NOT NULL DEFAULT 0,
  counts jsonb NOT NULL DEFAULT '{}',
  failures bigint NOT NULL DEFAULT 0,
  finished_at timestamp with time zone,
  CONSTRAINT rotation_range_rotation UNIQUE (rotation, id)
);
COMMENT ON INDEX callctl.rotation_range_rotation IS 'The ranges of one rotation';
COMMENT ON TABLE callctl.rotation_range IS
  'The work of the rotation under way, in ranges of the primary key; a process takes one by an advisory lock. Emptied at its end';
COMMENT ON COLUMN callctl.rotation_range.id IS 'The key of its advisory lock';
COMMENT ON COLUMN callctl.rotation_range.rotation IS 'The rotation it belongs to';
COMMENT ON COLUMN callctl.rotation_range.target IS 'The table, or what callctl saved of it';
COMMENT ON COLUMN callctl.rotation_range.above IS 'The range begins after this key; NULL: with the first';
COMMENT ON COLUMN callctl.rotation_range.up_to IS 'The last key of the range; NULL: all that are left';
COMMENT ON COLUMN callctl.rotation_range.reached IS 'The last key that is done and committed; NULL: none yet';
COMMENT ON COLUMN callctl.rotation_range.row_count IS 'Rows it had when the rotation was begun';
COMMENT ON COLUMN callctl.rotation_range.rows_done IS 'Rows done so far';
COMMENT ON COLUMN callctl.rotation_range.counts IS 'As in the rotation, of this range so far';
COMMENT ON COLUMN callctl.rotation_range.failures IS 'Values of this range left as they were, so far';
COMMENT ON COLUMN callctl.rotation_range.finished_at IS 'When its last row was done; NULL while some are left';

CREATE TABLE IF NOT EXISTS callctl.rotation_failure (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  rotation bigint NOT NULL REFERENCES callctl.rotation ON DELETE CASCADE,
  relation text NOT NULL,
  row_id text NOT NULL,
  path text NOT NULL,
  reason text NOT NULL,
  found_at timestamp with time zone NOT NULL DEFAULT now()
);
DO $$ BEGIN
  IF to_regclass('callctl.rotation_failure_rotation') IS NULL THEN
    CREATE INDEX rotation_failure_rotation ON callctl.rotation_failure (rotation);
  END IF;
END $$;
COMMENT ON INDEX callctl.rotation_failure_rotation IS 'What one rotation left as it was';
COMMENT ON TABLE callctl.rotation_failure IS 'Values that a rotation left as they were, by place and reason; never a value. At most 1,000 of a range';
COMMENT ON COLUMN callctl.rotation_failure.id IS 'Order in which they were found';
COMMENT ON COLUMN callctl.rotation_failure.rotation IS 'The rotation that left it';
COMMENT ON COLUMN callctl.rotation_failure.relation IS 'The table, or what callctl saved of it';
COMMENT ON COLUMN callctl.rotation_failure.row_id IS 'Primary key of the row';
COMMENT ON COLUMN callctl.rotation_failure.path IS 'The field';
COMMENT ON COLUMN callctl.rotation_failure.reason IS 'unknown-key, wrong-key, tampered, moved, unbound, foreign, misshapen, malformed, too slow, not-text or not-an-object';
COMMENT ON COLUMN callctl.rotation_failure.found_at IS 'When it was found';

CREATE TABLE IF NOT EXISTS callctl.bound_field (
  relation text NOT NULL,
  account_type text NOT NULL,
  path text NOT NULL,
  rotation bigint NOT NULL REFERENCES callctl.rotation,
  bound_at timestamp with time zone NOT NULL DEFAULT now(),
  PRIMARY KEY (relation, account_type, path)
);
COMMENT ON TABLE callctl.bound_field IS
  'Fields whose values were all bound by a rotation with --bind: an unbound one found later is left and reported. --unbind removes the row';
COMMENT ON COLUMN callctl.bound_field.relation IS 'The table, as the specification calls it; what is archived or saved of it is meant too. kept_webhook_secret: what is kept there';
COMMENT ON COLUMN callctl.bound_field.account_type IS 'The account type that the field is declared for; empty: all rows';
COMMENT ON COLUMN callctl.bound_field.path IS 'The field';
COMMENT ON COLUMN callctl.bound_field.rotation IS 'The first rotation that bound all of it and finished';
COMMENT ON COLUMN callctl.bound_field.bound_at IS 'When that rotation finished';

CREATE TABLE IF NOT EXISTS callctl.kept_webhook_secret (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  rotation bigint NOT NULL REFERENCES callctl.rotation,
  account_id uuid NOT NULL,
  company_id uuid NOT NULL,
  webhook_secret text NOT NULL,
  left_there text NOT NULL,
  kept_at timestamp with time zone NOT NULL DEFAULT now(),
  keep_until timestamp with time zone NOT NULL
);
DO $$ BEGIN
  IF to_regclass('callctl.kept_webhook_secret_account') IS NULL THEN
    CREATE INDEX kept_webhook_secret_account ON callctl.kept_webhook_secret (account_id);
  END IF;
END $$;
COMMENT ON INDEX callctl.kept_webhook_secret_account IS 'What is kept of one account';
COMMENT ON TABLE callctl.kept_webhook_secret IS
  'Webhook secrets that were replaced, encrypted, for as long as they can be put back; the next run that writes removes the others';
COMMENT ON COLUMN callctl.kept_webhook_secret.id IS 'Order in which they were replaced';
COMMENT ON COLUMN callctl.kept_webhook_secret.rotation IS 'The run that replaced it';
COMMENT ON COLUMN callctl.kept_webhook_secret.account_id IS 'Primary key of the integration account';
COMMENT ON COLUMN callctl.kept_webhook_secret.company_id IS 'Whose account it was then; the envelope is bound to both';
COMMENT ON COLUMN callctl.kept_webhook_secret.webhook_secret IS 'The secret that stood there, as the JSON text of an envelope; never in plaintext';
COMMENT ON COLUMN callctl.kept_webhook_secret.left_there IS
  'SHA-256, in hex, of the random secret in its place; it goes back only where that still stands';
COMMENT ON COLUMN callctl.kept_webhook_secret.kept_at IS 'When it was replaced';
COMMENT ON COLUMN callctl.kept_webhook_secret.keep_until IS 'Until when it can be put back';

CREATE TABLE IF NOT EXISTS callctl.spared_value (
  id bigint NOT NULL,
  user_id uuid,
  company_id uuid,
  chatbot_id uuid,
  chatbot_package_id uuid,
  ai_model_id uuid,
  field text NOT NULL,
  saved_by text NOT NULL,
  value jsonb,
  left_there jsonb,
  saved_at timestamp with time zone NOT NULL,
  superseded_at timestamp with time zone
);
COMMENT ON TABLE callctl.spared_value IS
  'What TRUNCATE ... CASCADE of one platform table takes of callctl.saved_value, until the end of that statement';
COMMENT ON COLUMN callctl.spared_value.id IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.user_id IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.company_id IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.chatbot_id IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.chatbot_package_id IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.ai_model_id IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.field IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.saved_by IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.value IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.left_there IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.saved_at IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.superseded_at IS 'As in saved_value';

CREATE TABLE IF NOT EXISTS callctl.tally (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  relation text NOT NULL,
  part text NOT NULL DEFAULT '',
  row_count bigint NOT NULL,
  digest numeric NOT NULL,
  kind text NOT NULL DEFAULT 'written' CHECK (kind IN ('begun', 'written', 'summed', 'accepted')),
  written_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE callctl.tally IS
  'What was written to callctl''s tables by callctl, or by a client''s write through callctl''s triggers and foreign keys: the sums of a table''s rows here are those of the table. Rows are only added, and summed up by callctl';
COMMENT ON COLUMN callctl.tally.id IS 'Order in which they were written';
COMMENT ON COLUMN callctl.tally.relation IS 'The table of this schema';
COMMENT ON COLUMN callctl.tally.part IS 'For saved_value the table and field that were saved, such as chatbots.chatbot_type; otherwise empty';
COMMENT ON COLUMN callctl.tally.row_count IS 'How many rows a statement added; negative where it removed them';
COMMENT ON COLUMN callctl.tally.digest IS 'The sum of callctl.row_digest() of the rows added, less that of the rows removed';
COMMENT ON COLUMN callctl.tally.kind IS
  'written: by a statement; begun: what was there when counting began; summed: several rows in one; accepted: a difference that an operator accepted';
COMMENT ON COLUMN callctl.tally.written_at IS 'When it was written';

CREATE OR REPLACE FUNCTION callctl.row_digest(p_row text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  -- Without a SET, so that PostgreSQL inlines it. It looks at bytes: no encoding refuses one.
  SELECT pg_catalog.hashtextextended(p_row COLLATE "C", 0)
$$;
COMMENT ON FUNCTION callctl.row_digest(text) IS 'PostgreSQL''s 64-bit hash of a row''s text';

CREATE OR REPLACE FUNCTION callctl.set_writes(p_writes text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  before constant text := coalesce(pg_catalog.current_setting('callctl.writes', true), '');
BEGIN
  PERFORM pg_catalog.set_config('callctl.writes', p_writes, true);
  RETURN before;
END
$$;
COMMENT ON FUNCTION callctl.set_writes(text) IS
  'Sets callctl.writes, which says whether what is written to callctl''s tables is counted, until the transaction ends; returns what it was. A role that is no superuser cannot give a function this setting';

CREATE OR REPLACE FUNCTION callctl.spare_values() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET "DateStyle" = 'ISO, MDY' SET "TimeZone" = 'UTC' AS $$
DECLARE
  k record;
  writes text;
BEGIN
  IF TG_WHEN = 'BEFORE' THEN
    -- All of them go, and those that come back below are counted again.
    INSERT INTO callctl.tally (relation, part, row_count, digest)
    SELECT 'saved_value', s.relation || '.' || s.field, -count(*), -sum(callctl.row_digest(s::text))
      FROM callctl.saved_value AS s GROUP BY s.relation, s.field;
    DELETE FROM callctl.spared_value;  -- none is there, unless another hand put it there
    INSERT INTO callctl.spared_value
    SELECT s.id, s.user_id, s.company_id, s.chatbot_id, s.chatbot_package_id, s.ai_model_id, s.field, s.saved_by, s.value,
           s.left_there, s.saved_at, s.superseded_at FROM callctl.saved_value AS s;
    RETURN NULL;
  END IF;
  writes := callctl.set_writes('on');
  FOR k IN
    SELECT a.attname AS key, c.confrelid::regclass AS rows FROM pg_constraint AS c
      JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
     WHERE c.conrelid = TG_RELID AND c.contype = 'f'
  LOOP
    EXECUTE format(
      'INSERT INTO callctl.saved_value (id, %1$I, field, saved_by, value, left_there, saved_at, superseded_at) OVERRIDING SYSTEM VALUE
       SELECT s.id, s.%1$I, s.field, s.saved_by, s.value, s.left_there, s.saved_at, s.superseded_at
         FROM callctl.spared_value AS s JOIN %2$s AS t ON t.id = s.%1$I', k.key, k.rows);
  END LOOP;
  PERFORM callctl.set_writes(writes);
  DELETE FROM callctl.spared_value;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION callctl.spare_values() IS
  'Keeps, when one table of the platform is truncated with CASCADE, what is saved of the rows of the others';

DO $$ BEGIN
  -- Made once: to make them again would lock out applications whose triggers save values.
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'callctl.saved_value'::regclass AND tgname = 'spare_before') THEN
    CREATE TRIGGER spare_before BEFORE TRUNCATE ON callctl.saved_value
      FOR EACH STATEMENT EXECUTE FUNCTION callctl.spare_values();
  END IF;
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'callctl.saved_value'::regclass AND tgname = 'spare_after') THEN
    CREATE TRIGGER spare_after AFTER TRUNCATE ON callctl.saved_value
      FOR EACH STATEMENT EXECUTE FUNCTION callctl.spare_values();
  END IF;
END $$;

CREATE OR REPLACE FUNCTION callctl.follow_rows(p_saved regclass, p_column name, p_table regclass)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint AS k JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
                  WHERE k.conrelid = p_saved AND k.confrelid = p_table AND k.contype = 'f' AND a.attname = p_column) THEN
    EXECUTE format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES %s (id) ON UPDATE CASCADE ON DELETE CASCADE',
                   p_saved, p_column, p_table);
  END IF;
END
$$;
COMMENT ON FUNCTION callctl.follow_rows(regclass, name, regclass) IS
  'Adds the foreign key by which what is saved of a row is deleted with it and follows its primary key, unless it is there';

-- ---------------------------------------------------------------------------------------------------
-- Definitions: what a column is, written down as the statements that make it again
-- ---------------------------------------------------------------------------------------------------

CREATE OR REPLACE PROCEDURE callctl.lock_table(p_table regclass)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', p_table);
END
$$;
COMMENT ON PROCEDURE callctl.lock_table(regclass) IS
  'Locks a table until the transaction ends; unlike LOCK TABLE it may stand in a file that psql runs statement by statement';

CREATE OR REPLACE FUNCTION callctl.write_definition(
  p_step integer, p_relation name, p_kind text, p_name name, p_ddl text, p_detail jsonb DEFAULT '{}')
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO callctl.definition (step, ordinal, relation, kind, name, ddl, detail)
  SELECT p_step, coalesce(max(ordinal), 0) + 1, p_relation, p_kind, p_name, p_ddl, p_detail
  FROM callctl.definition WHERE step = p_step
$$;
COMMENT ON FUNCTION callctl.write_definition(integer, name, text, name, text, jsonb) IS
  'Adds one statement to what a step must be able to put back';

CREATE OR REPLACE FUNCTION callctl.storage_name(p_storage "char") RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE p_storage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END
$$;
COMMENT ON FUNCTION callctl.storage_name("char") IS 'pg_attribute.attstorage as ALTER TABLE writes it';

CREATE OR REPLACE FUNCTION callctl.compression_name(p_compression text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE p_compression WHEN 'l' THEN 'lz4' WHEN 'p' THEN 'pglz' ELSE 'default' END
$$;
COMMENT ON FUNCTION callctl.compression_name(text) IS
  'pg_attribute.attcompression as ALTER TABLE writes it';

CREATE OR REPLACE FUNCTION callctl.as_written(p_definition text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT regexp_replace(p_definition,
    '\(ARRAY\[((?:''(?:[^'']|'''')*''::character varying(?:, )?)+)\]\)::text\[\]', 'ARRAY[\1]', 'g')
$$;
COMMENT ON FUNCTION callctl.as_written(text) IS
  'A definition in a form that PostgreSQL prints the same way again: it prints varchar IN (...) in one that it does not';

CREATE OR REPLACE FUNCTION callctl.length_limit(p_type oid, p_modifier integer) RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  -- The modifier of a domain's column is the domain's own, or that of the domain below it.
  WITH RECURSIVE chain(oid, base, modifier) AS (
    SELECT y.oid, y.typbasetype, CASE WHEN y.typtype = 'd' THEN y.typtypmod ELSE p_modifier END FROM pg_type AS y WHERE y.oid = p_type
    UNION ALL
    SELECT y.oid, y.typbasetype, CASE WHEN y.typtype = 'd' THEN y.typtypmod ELSE chain.modifier END
      FROM chain JOIN pg_type AS y ON y.oid = chain.base
  )
  SELECT modifier - 4 FROM chain WHERE oid IN ('varchar'::regtype, 'bpchar'::regtype) AND modifier > 4
$$;
COMMENT ON FUNCTION callctl.length_limit(oid, integer) IS
  'The length limit, in characters, of a varchar or char, or of a domain over one; NULL where it has none';

CREATE OR REPLACE FUNCTION callctl.give_statistics(p_schema name, p_name name, p_owner name)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  command text := pg_catalog.format('ALTER STATISTICS %I.%I OWNER TO %I', p_schema, p_name, p_owner);
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_statistic_ext AS s JOIN pg_catalog.pg_namespace AS n ON n.oid = s.stxnamespace
                  WHERE n.nspname = p_schema AND s.stxname = p_name AND pg_catalog.pg_get_userbyid(s.stxowner) = p_owner) THEN
    EXECUTE command;
  END IF;
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN
  RAISE WARNING 'statistics object %.% belongs to role % now, and before to role % (%); to give it back, a superuser runs: %;',
    quote_ident(p_schema), quote_ident(p_name), current_user, p_owner, SQLERRM, command;
END
$$;
COMMENT ON FUNCTION callctl.give_statistics(name, name, name) IS
  'Gives a statistics object that was made again to the role that owned it, or says in a warning why it could not';

CREATE OR REPLACE FUNCTION callctl.run_in_tablespace(p_tablespace name, p_ddl text)
RETURNS void LANGUAGE plpgsql SET default_tablespace = '' AS $$
BEGIN
  PERFORM pg_catalog.set_config('default_tablespace', p_tablespace, true);  -- until the end of this function
  EXECUTE p_ddl;
END
$$;
COMMENT ON FUNCTION callctl.run_in_tablespace(name, text) IS
  'Runs a statement that makes an index and cannot say in which tablespace';

CREATE OR REPLACE FUNCTION callctl.name_index_columns(p_index text, p_names name[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  a record;
  pass text;
BEGIN
  -- Twice, by way of names that no column has, since one may get the name of another.
  FOREACH pass IN ARRAY ARRAY['callctl_', ''] LOOP
    FOR a IN
      SELECT x.attname, pass || CASE pass WHEN '' THEN w.name ELSE x.attnum::text END AS name
        FROM pg_attribute x JOIN unnest(p_names) WITH ORDINALITY AS w(name, attnum) ON w.attnum = x.attnum
       WHERE x.attrelid = to_regclass(p_index) AND x.attname <> w.name
       ORDER BY x.attnum
    LOOP
      EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', p_index, a.attname, a.name);
    END LOOP;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.name_index_columns(text, name[]) IS
  'Gives the columns of an index the names that they had: those of the table''s columns when it was made, which may have been renamed since';

CREATE OR REPLACE FUNCTION callctl.index_settings(p_index oid)
RETURNS TABLE (ddl text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH i AS (
    SELECT x.*, c.relname, c.oid::regclass AS index, x.indrelid::regclass AS on_table
      FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indexrelid = p_index
  )
  SELECT s.ddl FROM i, LATERAL (
    SELECT 1 AS place, a.attnum::integer AS number, format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', i.index, a.attnum, a.attstattarget) AS ddl
      FROM pg_attribute a WHERE a.attrelid = i.indexrelid AND coalesce(a.attstattarget, -1) >= 0
    UNION ALL
    SELECT 2, 0, format('SELECT callctl.name_index_columns(%L, %L)', i.index, (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = i.indexrelid))
    UNION ALL
    SELECT 3, 0, format('ALTER TABLE %s CLUSTER ON %I', i.on_table, i.relname) WHERE i.indisclustered
    UNION ALL
    SELECT 4, 0, format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', i.on_table, i.relname) WHERE i.indisreplident
    UNION ALL
    SELECT 5, 0, format('ALTER INDEX %s DEPENDS ON EXTENSION %I', i.index, e.extname)
      FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
     WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x'
    UNION ALL
    SELECT 6, 0, format('COMMENT ON INDEX %s IS %L', i.index, obj_description(i.indexrelid, 'pg_class'))
     WHERE obj_description(i.indexrelid, 'pg_class') IS NOT NULL
  ) AS s ORDER BY s.place, s.number, s.ddl
$$;
COMMENT ON FUNCTION callctl.index_settings(oid) IS
  'The statements that give an index what its definition does not say: statistics targets, names of columns, marks, comment';

CREATE OR REPLACE FUNCTION callctl.statistics_settings(p_statistics oid)
RETURNS TABLE (ddl text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.ddl
    FROM pg_statistic_ext x,
    LATERAL (SELECT format('%s.%I', x.stxnamespace::regnamespace, x.stxname) AS name) AS n,
    LATERAL (
      SELECT 1 AS place, format('ALTER STATISTICS %s SET STATISTICS %s', n.name, to_jsonb(x) ->> 'stxstattarget') AS ddl
       WHERE (to_jsonb(x) ->> 'stxstattarget')::integer >= 0
      UNION ALL
      SELECT 2, format('COMMENT ON STATISTICS %s IS %L', n.name, obj_description(x.oid, 'pg_statistic_ext'))
       WHERE obj_description(x.oid, 'pg_statistic_ext') IS NOT NULL
      UNION ALL
      -- Last: only the owner may do the rest.
      SELECT 3, format('SELECT callctl.give_statistics(%L, %L, %L)', (SELECT nspname FROM pg_namespace WHERE oid = x.stxnamespace), x.stxname,
                       pg_get_userbyid(x.stxowner))
    ) AS s
   WHERE x.oid = p_statistics ORDER BY s.place
$$;
COMMENT ON FUNCTION callctl.statistics_settings(oid) IS
  'The statements that give a statistics object what its definition does not say: target, comment, owner';

CREATE OR REPLACE FUNCTION callctl.indexes_of(p_table regclass, p_column name)
RETURNS TABLE (index oid, constraint_oid oid) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  -- The index of a constraint depends on the constraint, and that on the column.
  SELECT i.indexrelid, k.oid
    FROM pg_attribute a
    JOIN pg_index i ON i.indrelid = a.attrelid
    LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = a.attrelid AND k.contype IN ('u', 'x', 'p')
   WHERE a.attrelid = p_table AND a.attname = p_column
     AND EXISTS (SELECT FROM pg_depend d
                  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table AND d.refobjsubid = a.attnum
                    AND (d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                         OR d.classid = 'pg_constraint'::regclass AND d.objid = k.oid))
$$;
COMMENT ON FUNCTION callctl.indexes_of(regclass, name) IS
  'The indexes that go with a column, and the constraints that they belong to';

CREATE OR REPLACE FUNCTION callctl.statistics_of(p_table regclass, p_column name)
RETURNS TABLE (statistics oid) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.oid FROM pg_attribute a JOIN pg_statistic_ext s ON s.stxrelid = a.attrelid
   WHERE a.attrelid = p_table AND a.attname = p_column
     AND EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_statistic_ext'::regclass AND d.objid = s.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table AND d.refobjsubid = a.attnum)
$$;
COMMENT ON FUNCTION callctl.statistics_of(regclass, name) IS 'The statistics objects that go with a column';

CREATE OR REPLACE FUNCTION callctl.remember_settings(p_step integer, p_table regclass, p_column name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  DELETE FROM callctl.definition WHERE step = p_step AND kind = 'column setting';
  PERFORM callctl.write_definition(p_step, c.relname, 'column setting', s.name, s.ddl)
     FROM pg_class c, LATERAL (
       SELECT x.relname AS name, o.ddl, o.place FROM callctl.indexes_of(p_table, p_column) AS i
         JOIN pg_class x ON x.oid = i.index, LATERAL callctl.index_settings(i.index) WITH ORDINALITY AS o(ddl, place)
       UNION ALL
       SELECT x.stxname, o.ddl, o.place FROM callctl.statistics_of(p_table, p_column) AS i
         JOIN pg_statistic_ext x ON x.oid = i.statistics, LATERAL callctl.statistics_settings(i.statistics) WITH ORDINALITY AS o(ddl, place)
     ) AS s WHERE c.oid = p_table ORDER BY s.name, s.place;
END
$$;
COMMENT ON FUNCTION callctl.remember_settings(integer, regclass, name) IS
  'Writes down, right before a column''s type is changed, what PostgreSQL does not give the indexes and statistics objects that it makes again for it';

CREATE OR REPLACE FUNCTION callctl.put_back_settings(p_step integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  d record;
BEGIN
  FOR d IN SELECT ddl FROM callctl.definition WHERE step = p_step AND kind = 'column setting' ORDER BY ordinal LOOP
    EXECUTE d.ddl;
  END LOOP;
  DELETE FROM callctl.definition WHERE step = p_step AND kind = 'column setting';
END
$$;
COMMENT ON FUNCTION callctl.put_back_settings(integer) IS
  'Runs what callctl.remember_settings() has written down, in the transaction that changes the type';

CREATE OR REPLACE FUNCTION callctl.remember_column_type(p_step integer, p_table regclass, p_column name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  a record;
BEGIN
  SELECT att.*, format_type(att.atttypid, att.atttypmod) AS type, pg_get_expr(d.adbin, d.adrelid) AS expression,
         t.typname, t.typstorage, c.relname, callctl.length_limit(att.atttypid, att.atttypmod) AS length,
         to_jsonb(att) ->> 'attcompression' AS compression,
         CASE WHEN att.attcollation <> t.typcollation
              THEN (SELECT format(' COLLATE %I.%I', n.nspname, co.collname)
                      FROM pg_collation co JOIN pg_namespace n ON n.oid = co.collnamespace
                     WHERE co.oid = att.attcollation) END AS collation
    INTO a
    FROM pg_attribute att
    JOIN pg_type t ON t.oid = att.atttypid
    JOIN pg_class c ON c.oid = att.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = att.attrelid AND d.adnum = att.attnum
   WHERE att.attrelid = p_table AND att.attname = p_column AND NOT att.attisdropped;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'table % has no column %', p_table, p_column USING ERRCODE = 'undefined_column';
  END IF;
  IF a.type = 'text' AND EXISTS (SELECT FROM callctl.definition WHERE step = p_step) THEN
    RETURN;  -- a second run, after the type changed: what is written down is the truth
  END IF;
  DELETE FROM callctl.definition WHERE step = p_step;
  PERFORM callctl.write_definition(p_step, a.relname, 'column type', p_column,
    CASE WHEN a.expression IS NULL THEN '' ELSE format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT, ', p_table, p_column) END
    || CASE WHEN a.expression IS NULL THEN format('ALTER TABLE %s ', p_table) ELSE '' END
    || format('ALTER COLUMN %I TYPE %s%s', p_column, a.type, a.collation)
    || CASE WHEN a.expression IS NULL THEN '' ELSE format(', ALTER COLUMN %I SET DEFAULT %s', p_column, a.expression) END,
    jsonb_build_object('type', a.type, 'length', a.length));
  -- ALTER TYPE resets how the column is stored.
  IF a.attstorage <> a.typstorage THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'column type', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', p_table, p_column, callctl.storage_name(a.attstorage)));
  END IF;
  IF a.compression <> '' THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'column type', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION %s', p_table, p_column, callctl.compression_name(a.compression)));
  END IF;
  PERFORM callctl.remember_settings(p_step, p_table, p_column);
END
$$;
COMMENT ON FUNCTION callctl.remember_column_type(integer, regclass, name) IS
  'Writes down a column''s type and default before a step changes the type';

CREATE OR REPLACE FUNCTION callctl.behind(p_text text, p_prefix text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT starts_with(p_text, p_prefix) THEN
    RAISE EXCEPTION 'expected "%" at the beginning of: %', p_prefix, p_text;
  END IF;
  RETURN substr(p_text, length(p_prefix) + 1);
END
$$;
COMMENT ON FUNCTION callctl.behind(text, text) IS 'A text without the prefix that it has to begin with';

CREATE OR REPLACE FUNCTION callctl.column_forms(p_table regclass, p_column name)
RETURNS TABLE (kind text, name name, definition text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'check', k.conname, pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = p_table AND a.attname = p_column
   WHERE k.conrelid = p_table AND k.contype = 'c'
     AND EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_constraint'::regclass AND d.objid = k.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table AND d.refobjsubid = a.attnum)
  UNION ALL
  SELECT 'index', c.relname, callctl.behind(pg_get_indexdef(c.oid),
           format('CREATE %sINDEX %I ON %s ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, c.relname, p_table))
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = p_table AND a.attname = p_column
   WHERE i.indrelid = p_table
     AND EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table AND d.refobjsubid = a.attnum)
$$;
COMMENT ON FUNCTION callctl.column_forms(regclass, name) IS
  'The CHECKs and indexes of a column, as PostgreSQL prints what comes behind their names';

CREATE OR REPLACE FUNCTION callctl.remember_forms(p_step integer, p_kind text, p_table regclass, p_column name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  DELETE FROM callctl.definition AS d WHERE d.step = p_step AND d.kind = p_kind;
  PERFORM callctl.write_definition(p_step, c.relname, p_kind, f.name, f.definition, jsonb_build_object('of', f.kind))
     FROM (SELECT * FROM callctl.column_forms(p_table, p_column) ORDER BY kind, name) AS f JOIN pg_class AS c ON c.oid = p_table;
END
$$;
COMMENT ON FUNCTION callctl.remember_forms(integer, text, regclass, name) IS
  'Writes down how the CHECKs and indexes of a column are printed, before and after a step changes its type: PostgreSQL writes them otherwise for each type';

CREATE OR REPLACE FUNCTION callctl.remembered_length(p_step integer) RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT (detail ->> 'length')::integer FROM callctl.definition WHERE step = p_step AND kind = 'column type' ORDER BY ordinal LIMIT 1
$$;
COMMENT ON FUNCTION callctl.remembered_length(integer) IS
  'Length limit, in characters, of the type that a step changed; NULL where it had none';

CREATE OR REPLACE FUNCTION callctl.remember_column(p_step integer, p_table regclass, p_column name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  a record;
  o record;
  command text;
BEGIN
  SELECT att.attnum, att.attnotnull, att.attstorage, att.attstattarget, att.attoptions, att.attacl, att.atttypid,
         format_type(att.atttypid, att.atttypmod) AS type, t.typtype, t.typstorage, c.relname, c.relowner,
         pg_get_expr(d.adbin, d.adrelid) AS expression, to_jsonb(att) ->> 'attcompression' AS compression,
         -- From PostgreSQL 18 on NOT NULL is a constraint. One that is not valid comes later: rows with NULL come before.
         CASE WHEN NOT att.attnotnull OR n.convalidated IS FALSE THEN ''
              WHEN n.oid IS NULL THEN ' NOT NULL'
              ELSE format(' CONSTRAINT %I NOT NULL%s', n.conname, CASE WHEN n.connoinherit THEN ' NO INHERIT' ELSE '' END) END AS required,
         CASE WHEN att.attcollation <> t.typcollation
              THEN (SELECT format(' COLLATE %I.%I', n.nspname, co.collname)
                      FROM pg_collation co JOIN pg_namespace n ON n.oid = co.collnamespace
                     WHERE co.oid = att.attcollation) END AS collation
    INTO a
    FROM pg_attribute att
    JOIN pg_type t ON t.oid = att.atttypid
    JOIN pg_class c ON c.oid = att.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = att.attrelid AND d.adnum = att.attnum
    LEFT JOIN pg_constraint n ON n.conrelid = att.attrelid AND n.contype = 'n' AND n.conkey = ARRAY[att.attnum]
   WHERE att.attrelid = p_table AND att.attname = p_column AND NOT att.attisdropped;
  IF NOT FOUND THEN
    -- Dropped already, perhaps by hand: what was written down stands; failing that, the document's own column.
    IF NOT EXISTS (SELECT FROM callctl.definition WHERE step = p_step AND kind = 'column') THEN
      PERFORM callctl.write_definition(p_step, c.relname, 'column', p_column,
          format('ALTER TABLE %s ADD COLUMN %I character varying(50) DEFAULT ''chat''', p_table, p_column)),
        callctl.write_definition(p_step, c.relname, 'default', p_column,
          format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', p_table, p_column))
        FROM pg_class c WHERE c.oid = p_table;
    END IF;
    RETURN;
  END IF;

  DELETE FROM callctl.definition WHERE step = p_step;
  -- A constant default with the column is metadata only: every row reads as 'chat' at once, and only
  -- the others have to be written. The column's own default follows.
  PERFORM callctl.write_definition(p_step, a.relname, 'column', p_column,
    format('ALTER TABLE %s ADD COLUMN %I %s%s DEFAULT ''chat''%s', p_table, p_column, a.type, a.collation, a.required),
    jsonb_build_object('type', a.type, 'not_null', a.attnotnull, 'default', a.expression));
  PERFORM callctl.write_definition(p_step, a.relname, 'default', p_column,
    format('ALTER TABLE %s ALTER COLUMN %I ', p_table, p_column)
    || coalesce('SET DEFAULT ' || a.expression, 'DROP DEFAULT'));
  IF a.typtype = 'e' THEN
    PERFORM callctl.remember_enum(p_step, a.relname, a.atttypid);
  END IF;
  IF a.attstorage <> a.typstorage THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'setting', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', p_table, p_column, callctl.storage_name(a.attstorage)));
  END IF;
  IF a.compression <> '' THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'setting', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION %s', p_table, p_column, callctl.compression_name(a.compression)));
  END IF;
  IF coalesce(a.attstattarget, -1) >= 0 THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'setting', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', p_table, p_column, a.attstattarget));
  END IF;
  IF a.attoptions IS NOT NULL THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'setting', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', p_table, p_column, array_to_string(a.attoptions, ', ')));
  END IF;

  FOR o IN
    SELECT con.conname, con.contype, con.convalidated, con.condeferrable, con.condeferred,
           callctl.as_written(pg_get_constraintdef(con.oid)) AS definition, obj_description(con.oid, 'pg_constraint') AS remark,
           ts.spcname, con.contype IN ('u', 'p') AND (to_jsonb(con) ->> 'conperiod') IS DISTINCT FROM 'true' AS by_index
      FROM pg_constraint con
      LEFT JOIN pg_class x ON x.oid = con.conindid AND con.contype IN ('u', 'x', 'p')
      LEFT JOIN pg_tablespace ts ON ts.oid = x.reltablespace
     WHERE con.conrelid = p_table AND con.contype IN ('c', 'u', 'x', 'p', 'f', 'n') AND con.conname <> 'callctl_forms_agree'
       AND EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_constraint'::regclass AND d.objid = con.oid
                      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table AND d.refobjsubid = a.attnum)
     ORDER BY con.conname
  LOOP
    IF o.by_index THEN
      -- Its index is built concurrently, below.
      PERFORM callctl.write_definition(p_step, a.relname, 'constraint', o.conname,
        format('ALTER TABLE %s ADD CONSTRAINT %I %s USING INDEX %I%s%s', p_table, o.conname,
               CASE o.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, o.conname,
               CASE WHEN o.condeferrable THEN ' DEFERRABLE' ELSE '' END, CASE WHEN o.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END));
    ELSIF o.contype <> 'n' OR NOT o.convalidated THEN
      -- A CHECK or a foreign key returns unvalidated and is validated after, so that no scan happens under its lock.
      command := format('ALTER TABLE %s ADD CONSTRAINT %I %s%s', p_table, o.conname, o.definition,
                        CASE WHEN o.contype IN ('c', 'f') AND o.convalidated THEN ' NOT VALID' ELSE '' END);
      -- PostgreSQL prints the tablespace of an exclusion constraint's index nowhere.
      PERFORM callctl.write_definition(p_step, a.relname, 'constraint', o.conname,
        CASE WHEN o.spcname IS NULL THEN command ELSE format('SELECT callctl.run_in_tablespace(%L, %L)', o.spcname, command) END,
        jsonb_build_object('tablespace', o.spcname));
    END IF;
    IF o.contype IN ('c', 'f') AND o.convalidated THEN
      PERFORM callctl.write_definition(p_step, a.relname, 'validate', o.conname,
        format('ALTER TABLE %s VALIDATE CONSTRAINT %I', p_table, o.conname));
    END IF;
    IF o.remark IS NOT NULL THEN
      PERFORM callctl.write_definition(p_step, a.relname, 'comment', o.conname,
        format('COMMENT ON CONSTRAINT %I ON %s IS %L', o.conname, p_table, o.remark));
    END IF;
  END LOOP;

  FOR o IN
    SELECT i.indexrelid, c.relname, ts.spcname, callctl.as_written(pg_get_indexdef(i.indexrelid)) AS definition,
           coalesce(callctl.as_written(' WHERE ' || pg_get_expr(i.indpred, i.indrelid)), '') AS predicate,
           k.oid IS NULL OR k.contype IN ('u', 'p') AND (to_jsonb(k) ->> 'conperiod') IS DISTINCT FROM 'true' AS concurrently
      FROM callctl.indexes_of(p_table, p_column) AS u
      JOIN pg_index i ON i.indexrelid = u.index
      JOIN pg_class c ON c.oid = i.indexrelid
      LEFT JOIN pg_constraint k ON k.oid = u.constraint_oid
      LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace
     ORDER BY c.relname
  LOOP
    IF o.concurrently THEN
      -- PostgreSQL does not print the tablespace, which has its place in front of the predicate.
      PERFORM callctl.write_definition(p_step, a.relname, 'index', o.relname,
        regexp_replace(reverse(callctl.behind(reverse(o.definition), reverse(o.predicate))), '^CREATE (UNIQUE )?INDEX ', 'CREATE \1INDEX CONCURRENTLY ')
        || coalesce(' TABLESPACE ' || quote_ident(o.spcname), '') || o.predicate,
        jsonb_build_object('tablespace', o.spcname));
    END IF;
    PERFORM callctl.write_definition(p_step, a.relname, 'after index', o.relname, s.ddl) FROM callctl.index_settings(o.indexrelid) AS s;
  END LOOP;

  FOR o IN
    SELECT s.oid, s.stxname, s.stxnamespace::regnamespace AS home, pg_get_userbyid(s.stxowner) AS owner, pg_get_statisticsobjdef(s.oid) AS definition
      FROM callctl.statistics_of(p_table, p_column) AS u JOIN pg_statistic_ext s ON s.oid = u.statistics
     ORDER BY s.stxname
  LOOP
    PERFORM callctl.write_definition(p_step, a.relname, 'statistics', o.stxname, o.definition,
                                     jsonb_build_object('schema', o.home, 'owner', o.owner));
    PERFORM callctl.write_definition(p_step, a.relname, 'statistics', o.stxname, s.ddl) FROM callctl.statistics_settings(o.oid) AS s;
  END LOOP;

  IF col_description(p_table, a.attnum) IS NOT NULL THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'comment', p_column,
      format('COMMENT ON COLUMN %s.%I IS %L', p_table, p_column, col_description(p_table, a.attnum)));
  END IF;

  FOR o IN
    SELECT x.privilege_type, x.is_grantable, (SELECT rolname FROM pg_roles WHERE oid = x.grantee) AS role,
           CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS grantee
      FROM aclexplode(a.attacl) x
     ORDER BY 4, 1
  LOOP
    PERFORM callctl.write_definition(p_step, a.relname, 'grant', p_column,
      format('GRANT %s (%I) ON %s TO %s%s', o.privilege_type, p_column, p_table, o.grantee,
             CASE WHEN o.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), jsonb_build_object('role', o.role));
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.remember_column(integer, regclass, name) IS
  'Writes down a column and everything that goes with it when it is dropped: indexes, constraints, statistics objects, comments, grants';

CREATE OR REPLACE FUNCTION callctl.forget_default_privileges(p_type text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
  g record;
BEGIN
  SELECT y.typacl, y.typowner INTO STRICT t FROM pg_type AS y WHERE y.oid = to_regtype(p_type);
  FOR g IN
    SELECT DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS grantee
      FROM aclexplode(t.typacl) AS x WHERE x.grantee <> t.typowner
  LOOP
    EXECUTE format('REVOKE ALL ON TYPE %s FROM %s', p_type, g.grantee);
  END LOOP;
  IF t.typacl IS NOT NULL THEN
    EXECUTE format('GRANT USAGE ON TYPE %s TO PUBLIC', p_type);
  END IF;
END
$$;
COMMENT ON FUNCTION callctl.forget_default_privileges(text) IS
  'Takes from a type just made what ALTER DEFAULT PRIVILEGES gave on it: what it had before is granted after this';

CREATE OR REPLACE FUNCTION callctl.remember_enum(p_step integer, p_relation name, p_type oid)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
  g record;
BEGIN
  -- The type goes in step 6, whichever table used it, and so it comes back before either column does. It
  -- counts as gone only when drop_unused_types() turns these into kind 'type'.
  SELECT ty.oid, format_type(ty.oid, NULL) AS name, ty.typname, pg_get_userbyid(ty.typowner) AS owner, ty.typacl,
         obj_description(ty.oid, 'pg_type') AS remark,
         (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
            FROM pg_enum e WHERE e.enumtypid = ty.oid) AS labels
    INTO t FROM pg_type ty WHERE ty.oid = p_type;
  IF EXISTS (SELECT FROM callctl.definition WHERE kind LIKE '%type' AND kind <> 'column type'
                AND detail ->> 'type' = t.name AND step <> p_step) THEN
    DELETE FROM callctl.definition WHERE kind LIKE '%type' AND kind <> 'column type'
       AND detail ->> 'type' = t.name AND step <> p_step;
  END IF;
  PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
    format('CREATE TYPE %s AS ENUM (%s)', t.name, t.labels), jsonb_build_object('type', t.name));
  PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
    format('SELECT callctl.forget_default_privileges(%L)', t.name), jsonb_build_object('type', t.name));
  PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
    format('ALTER TYPE %s OWNER TO %I', t.name, t.owner), jsonb_build_object('type', t.name, 'role', t.owner));
  IF t.remark IS NOT NULL THEN
    PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
      format('COMMENT ON TYPE %s IS %L', t.name, t.remark), jsonb_build_object('type', t.name));
  END IF;
  IF t.typacl IS NOT NULL THEN
    PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
      format('REVOKE ALL ON TYPE %s FROM PUBLIC', t.name), jsonb_build_object('type', t.name));
    FOR g IN
      SELECT x.privilege_type, x.is_grantable, (SELECT rolname FROM pg_roles WHERE oid = x.grantee) AS role,
             CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS grantee
        FROM aclexplode(t.typacl) x ORDER BY 4, 1
    LOOP
      PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
        format('GRANT %s ON TYPE %s TO %s%s', g.privilege_type, t.name, g.grantee,
               CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), jsonb_build_object('type', t.name, 'role', g.role));
    END LOOP;
  END IF;
END
$$;
COMMENT ON FUNCTION callctl.remember_enum(integer, name, oid) IS
  'Writes down an enum type that a dropped column used: labels in order, owner, comment, grants';

CREATE OR REPLACE FUNCTION callctl.drop_unused_types() RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT DISTINCT d.detail ->> 'type' AS name, ty.oid, ty.typarray
      FROM callctl.definition d JOIN pg_type ty ON ty.oid = to_regtype(d.detail ->> 'type')
     WHERE d.kind = 'kept type'
  LOOP
    IF EXISTS (SELECT FROM pg_depend d
                WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, t.typarray) AND d.deptype <> 'i')
    THEN
      RAISE WARNING 'type % stays: something else uses it', t.name;
      CONTINUE;
    END IF;
    EXECUTE format('DROP TYPE %s', t.name);
    UPDATE callctl.definition SET kind = 'type' WHERE kind = 'kept type' AND detail ->> 'type' = t.name;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.drop_unused_types() IS
  'Drops the enum types of the dropped type columns, unless something else uses them';

-- ---------------------------------------------------------------------------------------------------
-- A shadow column: a column gets its old type back beside the old one, without a rewrite under a lock
-- ---------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION callctl.column_facts(p_table regclass, p_column name) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH a AS (
    SELECT * FROM pg_attribute WHERE attrelid = p_table AND attname = p_column AND NOT attisdropped
  )
  SELECT string_agg(f.fact, E'\n' ORDER BY f.fact COLLATE "C") FROM (
    SELECT format('column %s', to_jsonb(a) - ARRAY['attnum', 'attcacheoff', 'atthasmissing', 'attmissingval']
             || jsonb_build_object('default', (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
                                                WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum),
                                   'comment', col_description(a.attrelid, a.attnum))) AS fact
      FROM a
    UNION ALL
    SELECT concat_ws(' ', pg_describe_object(d.classid, d.objid, d.objsubid), pg_get_indexdef(i.indexrelid), i.indisvalid,
                     (SELECT string_agg(x.ddl, ' ') FROM callctl.index_settings(i.indexrelid) AS x),
                     pg_get_constraintdef(k.oid), pg_get_statisticsobjdef(s.oid),
                     (SELECT string_agg(x.ddl, ' ') FROM callctl.statistics_settings(s.oid) AS x), s.stxowner,
                     obj_description(d.objid, c.relname))
      FROM a
      JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
      JOIN pg_class c ON c.oid = d.classid
      LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
      LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
      LEFT JOIN pg_statistic_ext s ON d.classid = 'pg_statistic_ext'::regclass AND s.oid = d.objid
     WHERE k.conname IS DISTINCT FROM 'callctl_shadow_agrees' AND d.classid <> 'pg_attrdef'::regclass
  ) AS f
$$;
COMMENT ON FUNCTION callctl.column_facts(regclass, name) IS
  'What the catalog says of a column and of everything that depends on it, to be compared with what it says later';

CREATE OR REPLACE FUNCTION callctl.shadow_check(p_column name, p_shadow name, p_length integer) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  -- A CHECK passes on NULL: IS TRUE says that it does not here. COLLATE "C" compares the bytes.
  SELECT format('CONSTRAINT callctl_shadow_agrees CHECK ((%2$I::text COLLATE "C" IS NOT DISTINCT FROM %1$I COLLATE "C" AND coalesce(length(%1$I), 0) <= %3$s) IS TRUE)',
                p_column, p_shadow, p_length)
$$;
COMMENT ON FUNCTION callctl.shadow_check(name, name, integer) IS
  'The CHECK that says of a row that a column and its shadow agree and that it fits the old type';

CREATE OR REPLACE PROCEDURE callctl.begin_shadow(p_step integer, p_table regclass, p_column name, p_shadow name)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
-- PostgreSQL itself says how the column's indexes, CHECKs and statistics objects are written for the shadow: they are made on
-- an empty table of the same form, whose column gets the old type and the shadow's name, and is gone at the end.
DECLARE
  form constant text := 'callctl.shadow_form';
  most constant integer := callctl.remembered_length(p_step);
  relation constant name := (SELECT relname FROM pg_class WHERE oid = p_table);
  own_schema constant regnamespace := (SELECT relnamespace FROM pg_class WHERE oid = p_table);
  a record;
  f record;
  o record;
  number integer := 0;
  text_of_it text;
BEGIN
  IF EXISTS (SELECT FROM callctl.definition WHERE step = p_step AND kind = 'shadow') THEN
    RETURN;  -- under way: a run that is resumed
  END IF;
  SELECT att.attnum, att.attnotnull, att.attstattarget, att.attoptions, att.attacl, format_type(att.atttypid, att.atttypmod) AS type,
         n.conname AS required, n.convalidated AS validated, pg_get_constraintdef(n.oid) AS requirement, obj_description(n.oid, 'pg_constraint') AS remark
    INTO STRICT a
    FROM pg_attribute att
    LEFT JOIN pg_constraint n ON n.conrelid = att.attrelid AND n.contype = 'n' AND n.conkey = ARRAY[att.attnum]
   WHERE att.attrelid = p_table AND att.attname = p_column AND NOT att.attisdropped;
  PERFORM callctl.remember_settings(p_step, p_table, p_column);
  PERFORM callctl.write_definition(p_step, relation, 'shadow', p_shadow, '',
    jsonb_build_object('facts', callctl.column_facts(p_table, p_column), 'length', most));

  EXECUTE format('CREATE UNLOGGED TABLE %s (LIKE %s INCLUDING DEFAULTS)', form, p_table);
  CREATE UNLOGGED TABLE callctl.shadow_parts (
    number integer, kind text, name name, home regnamespace, made text, remark text, detail jsonb);
  FOR o IN
    SELECT con.conname, con.convalidated, c.definition, obj_description(con.oid, 'pg_constraint') AS remark
      FROM callctl.column_forms(p_table, p_column) AS c
      JOIN pg_constraint con ON con.conrelid = p_table AND con.conname = c.name
     WHERE c.kind = 'check'
     ORDER BY con.conname
  LOOP
    number := number + 1;
    EXECUTE format('ALTER TABLE %s ADD CONSTRAINT callctl_shadow_%s %s', form, number, callctl.as_written(o.definition));
    INSERT INTO callctl.shadow_parts
    VALUES (number, 'check', o.conname, own_schema, o.definition, o.remark, jsonb_build_object('validated', o.convalidated));
  END LOOP;
  FOR o IN
    SELECT i.indexrelid, c.name, i.indisunique, c.definition
      FROM callctl.column_forms(p_table, p_column) AS c
      JOIN pg_class x ON x.relname = c.name AND x.relnamespace = own_schema
      JOIN pg_index i ON i.indexrelid = x.oid
     WHERE c.kind = 'index'
     ORDER BY c.name
  LOOP
    number := number + 1;
    EXECUTE format('CREATE %sINDEX callctl_shadow_%s ON %s %s', CASE WHEN o.indisunique THEN 'UNIQUE ' ELSE '' END, number, form,
                   callctl.as_written(o.definition));
    INSERT INTO callctl.shadow_parts
    VALUES (number, CASE WHEN o.indisunique THEN 'unique index' ELSE 'index' END, o.name, own_schema, o.definition, NULL, jsonb_build_object(
              'targets', (SELECT jsonb_object_agg(x.attnum, x.attstattarget) FROM pg_attribute x
                           WHERE x.attrelid = o.indexrelid AND coalesce(x.attstattarget, -1) >= 0)));
  END LOOP;
  FOR o IN
    SELECT s.stxname, s.stxnamespace::regnamespace AS home, to_jsonb(s) ->> 'stxstattarget' AS target,
           pg_get_statisticsobjdef(s.oid) AS definition
      FROM callctl.statistics_of(p_table, p_column) AS u JOIN pg_statistic_ext s ON s.oid = u.statistics
     ORDER BY s.stxname
  LOOP
    number := number + 1;
    text_of_it := callctl.behind(o.definition, format('CREATE STATISTICS %s.%I ', o.home, o.stxname));
    text_of_it := reverse(callctl.behind(reverse(text_of_it), reverse(format(' FROM %s', p_table))));
    EXECUTE format('CREATE STATISTICS callctl.callctl_shadow_%s %s FROM %s', number, text_of_it, form);
    INSERT INTO callctl.shadow_parts
    VALUES (number, 'statistics', o.stxname, o.home, NULL, NULL, jsonb_build_object('target', o.target));
  END LOOP;

  FOR o IN SELECT d.ddl FROM callctl.definition d WHERE d.step = p_step AND d.kind = 'column type' ORDER BY d.ordinal LOOP
    EXECUTE format('ALTER TABLE %s %s', form, callctl.behind(o.ddl, format('ALTER TABLE %s ', p_table)));
  END LOOP;
  -- Those that nobody has changed since the step are made by the definitions of before: to text and back, an IN or a coalesce()
  -- is printed in another form.
  FOR o IN
    SELECT p.number, p.kind, b.ddl
      FROM callctl.shadow_parts AS p
      JOIN callctl.definition AS l ON l.step = p_step AND l.kind = 'form after' AND l.name = p.name AND l.ddl = p.made AND p.kind LIKE '%' || (l.detail ->> 'of')
      JOIN callctl.definition AS b ON b.step = p_step AND b.kind = 'form before' AND b.name = p.name AND b.ddl <> p.made AND b.detail = l.detail
  LOOP
    IF o.kind = 'check' THEN
      EXECUTE format('ALTER TABLE %1$s DROP CONSTRAINT callctl_shadow_%2$s, ADD CONSTRAINT callctl_shadow_%2$s %3$s', form, o.number,
                     callctl.as_written(o.ddl));
    ELSE
      EXECUTE format('DROP INDEX callctl.callctl_shadow_%s', o.number);
      EXECUTE format('CREATE %sINDEX callctl_shadow_%s ON %s %s', CASE o.kind WHEN 'unique index' THEN 'UNIQUE ' ELSE '' END, o.number,
                     form, callctl.as_written(o.ddl));
    END IF;
  END LOOP;
  EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', form, p_column, p_shadow);

  UPDATE callctl.shadow_parts AS p SET made = callctl.as_written(pg_get_constraintdef(k.oid))
    FROM pg_constraint k WHERE p.kind = 'check' AND k.conrelid = form::regclass AND k.conname = format('callctl_shadow_%s', p.number);
  UPDATE callctl.shadow_parts AS p
     SET made = callctl.behind(callctl.as_written(pg_get_indexdef(i.indexrelid)), format('CREATE %sINDEX callctl_shadow_%s ON %s ',
                  CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, p.number, form))
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
   WHERE p.kind LIKE '%index' AND i.indrelid = form::regclass AND c.relname = format('callctl_shadow_%s', p.number);
  UPDATE callctl.shadow_parts AS p
     SET made = reverse(callctl.behind(reverse(callctl.behind(pg_get_statisticsobjdef(s.oid),
                  format('CREATE STATISTICS callctl.callctl_shadow_%s ', p.number))), reverse(format(' FROM %s', form))))
    FROM pg_statistic_ext s
   WHERE p.kind = 'statistics' AND s.stxrelid = form::regclass AND s.stxname = format('callctl_shadow_%s', p.number);

  SELECT format_type(att.atttypid, att.atttypmod) AS type, t.typstorage, att.attstorage, to_jsonb(att) ->> 'attcompression' AS compression,
         pg_get_expr(d.adbin, d.adrelid) AS expression,
         CASE WHEN att.attcollation <> t.typcollation
              THEN (SELECT format(' COLLATE %I.%I', n.nspname, co.collname)
                      FROM pg_collation co JOIN pg_namespace n ON n.oid = co.collnamespace
                     WHERE co.oid = att.attcollation) END AS collation
    INTO STRICT f
    FROM pg_attribute att
    JOIN pg_type t ON t.oid = att.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = att.attrelid AND d.adnum = att.attnum
   WHERE att.attrelid = form::regclass AND att.attname = p_shadow;
  -- How PostgreSQL prints the CHECK that will prove the two the same, so that no other is taken for it.
  EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', form, p_column, a.type);
  EXECUTE format('ALTER TABLE %s ADD %s', form, callctl.shadow_check(p_column, p_shadow, most));
  UPDATE callctl.definition AS d SET detail = d.detail || jsonb_build_object('agrees', pg_get_constraintdef(k.oid))
    FROM pg_constraint AS k
   WHERE d.step = p_step AND d.kind = 'shadow' AND k.conrelid = form::regclass AND k.conname = 'callctl_shadow_agrees';
  EXECUTE format('DROP TABLE %s', form);

  -- What is run at once, below: the column as it will be, empty still.
  PERFORM callctl.write_definition(p_step, relation, 'shadow column', p_shadow, s.ddl)
     FROM (
       SELECT 1 AS place, '' AS grantee, format('ALTER TABLE %s ADD COLUMN %I %s%s', p_table, p_shadow, f.type, f.collation) AS ddl
       UNION ALL
       SELECT 2, '', format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', p_table, p_shadow, callctl.storage_name(f.attstorage))
        WHERE f.attstorage <> f.typstorage
       UNION ALL
       SELECT 2, '', format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION %s', p_table, p_shadow, callctl.compression_name(f.compression))
        WHERE f.compression <> ''
       UNION ALL
       SELECT 2, '', format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', p_table, p_shadow, a.attstattarget)
        WHERE coalesce(a.attstattarget, -1) >= 0
       UNION ALL
       SELECT 2, '', format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', p_table, p_shadow, array_to_string(a.attoptions, ', '))
        WHERE a.attoptions IS NOT NULL
       UNION ALL
       -- At once, so that SELECT * of a role with grants on single columns goes on.
       SELECT 3, x.grantee::text, format('GRANT %s (%I) ON %s TO %s%s', x.privilege_type, p_shadow, p_table,
                CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END,
                CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
         FROM aclexplode(a.attacl) AS x
       UNION ALL
       SELECT 4, '', format('COMMENT ON COLUMN %s.%I IS %L', p_table, p_shadow,
                format('callctl: becomes %s when step %s is taken back; the next callctl migrate down resumes, the next up drops it',
                       p_column, p_step))
     ) AS s ORDER BY s.place, s.grantee, s.ddl;

  PERFORM callctl.write_definition(p_step, relation, 'shadow ' || p.kind, p.name,
      format('CREATE %sINDEX CONCURRENTLY callctl_shadow_%s ON %s %s', CASE p.kind WHEN 'unique index' THEN 'UNIQUE ' ELSE '' END,
             p.number, p_table, p.made),
      jsonb_build_object('made', format('callctl_shadow_%s', p.number)))
     FROM callctl.shadow_parts p WHERE p.kind LIKE '%index' ORDER BY p.number;
  PERFORM callctl.write_definition(p_step, relation, 'shadow check', p.name,
      format('ALTER TABLE %1$s DROP CONSTRAINT IF EXISTS callctl_shadow_%2$s, ADD CONSTRAINT callctl_shadow_%2$s %3$s%4$s', p_table,
             p.number, p.made, CASE WHEN (p.detail ->> 'validated')::boolean THEN ' NOT VALID' ELSE '' END))
     FROM callctl.shadow_parts p WHERE p.kind = 'check' ORDER BY p.number;
  IF a.attnotnull AND a.validated IS NOT FALSE THEN
    PERFORM callctl.write_definition(p_step, relation, 'shadow check', p_shadow,
      format('ALTER TABLE %1$s DROP CONSTRAINT IF EXISTS callctl_shadow_not_null, ADD CONSTRAINT callctl_shadow_not_null CHECK (%2$I IS NOT NULL) NOT VALID',
             p_table, p_shadow));
    PERFORM callctl.write_definition(p_step, relation, 'shadow validate', p_shadow,
      format('ALTER TABLE %s VALIDATE CONSTRAINT callctl_shadow_not_null', p_table), '{"made": "callctl_shadow_not_null"}');
  END IF;
  PERFORM callctl.write_definition(p_step, relation, 'shadow validate', p.name,
      format('ALTER TABLE %s VALIDATE CONSTRAINT callctl_shadow_%s', p_table, p.number),
      jsonb_build_object('made', format('callctl_shadow_%s', p.number)))
     FROM callctl.shadow_parts p WHERE p.kind = 'check' AND (p.detail ->> 'validated')::boolean ORDER BY p.number;
  PERFORM callctl.write_definition(p_step, relation, 'shadow statistics', s.name, s.ddl)
     FROM (
       SELECT p.number, 1 AS place, p.name,
              format('CREATE STATISTICS IF NOT EXISTS %s.callctl_shadow_%s %s FROM %s', own_schema, p.number, p.made, p_table) AS ddl
         FROM callctl.shadow_parts p WHERE p.kind = 'statistics'
       UNION ALL
       SELECT p.number, 2, p.name, format('ALTER STATISTICS %s.callctl_shadow_%s SET STATISTICS %s', own_schema, p.number, p.detail ->> 'target')
         FROM callctl.shadow_parts p WHERE p.kind = 'statistics' AND (p.detail ->> 'target')::integer >= 0
       UNION ALL
       SELECT p.number, 1, p.name, format('ALTER INDEX %s.callctl_shadow_%s ALTER COLUMN %s SET STATISTICS %s', own_schema, p.number, t.key, t.value)
         FROM callctl.shadow_parts p, LATERAL jsonb_each_text(nullif(p.detail -> 'targets', 'null')) AS t
        WHERE p.kind LIKE '%index'
     ) AS s ORDER BY s.number, s.place;

  -- What is run behind the lock: the catalog alone is written.
  PERFORM callctl.write_definition(p_step, relation, 'shadow swap', p_column, s.ddl)
     FROM (
       SELECT 1 AS place, 0 AS number, format('DROP TRIGGER zzz_callctl_shadow_1_fill ON %s', p_table) AS ddl
       UNION ALL SELECT 2, 0, format('DROP TRIGGER zzz_callctl_shadow_2_keep ON %s', p_table)
       UNION ALL SELECT 3, 0, format('DROP FUNCTION callctl.%I(), callctl.%I()', 'fill_' || relation, 'shadow_' || relation)
       UNION ALL SELECT 4, 0, format('ALTER TABLE %s DROP COLUMN %I', p_table, p_column)
       UNION ALL SELECT 5, 0, format('ALTER TABLE %s RENAME COLUMN %I TO %I', p_table, p_shadow, p_column)
       UNION ALL
       SELECT 6, 0, format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', p_table, p_column, f.expression) WHERE f.expression IS NOT NULL
       UNION ALL
       -- The validated CHECK says it of every row: none is read.
       SELECT 7, 0, CASE WHEN a.required IS NULL THEN format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', p_table, p_column)
                         ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', p_table, a.required, a.requirement) END WHERE a.attnotnull
       UNION ALL
       SELECT 8, 0, format('ALTER TABLE %s DROP CONSTRAINT callctl_shadow_not_null', p_table) WHERE a.attnotnull AND a.validated IS NOT FALSE
       UNION ALL
       SELECT 8, 1, format('COMMENT ON CONSTRAINT %I ON %s IS %L', a.required, p_table, a.remark) WHERE a.remark IS NOT NULL
       UNION ALL
       SELECT 9, 0, format('COMMENT ON COLUMN %s.%I IS %L', p_table, p_column, col_description(p_table, a.attnum))
       UNION ALL
       SELECT 10, p.number, CASE p.kind
                WHEN 'check' THEN format('ALTER TABLE %s RENAME CONSTRAINT callctl_shadow_%s TO %I', p_table, p.number, p.name)
                WHEN 'statistics' THEN format('ALTER STATISTICS %s.callctl_shadow_%s RENAME TO %I', own_schema, p.number, p.name)
                ELSE format('ALTER INDEX %s.callctl_shadow_%s RENAME TO %I', own_schema, p.number, p.name) END
         FROM callctl.shadow_parts p
       UNION ALL
       SELECT 11, p.number, format('ALTER STATISTICS %s.%I SET SCHEMA %s', own_schema, p.name, p.home)
         FROM callctl.shadow_parts p WHERE p.kind = 'statistics' AND p.home <> own_schema
       UNION ALL
       SELECT 12, p.number, format('COMMENT ON CONSTRAINT %I ON %s IS %L', p.name, p_table, p.remark)
         FROM callctl.shadow_parts p WHERE p.kind = 'check' AND p.remark IS NOT NULL
       UNION ALL
       SELECT 13, d.ordinal, d.ddl FROM callctl.definition d WHERE d.step = p_step AND d.kind = 'column setting'
     ) AS s ORDER BY s.place, s.number;
  DROP TABLE callctl.shadow_parts;

  -- Neither function looks anything up by the search_path: a SET clause would cost more than all else that they do.
  EXECUTE format($make$
CREATE FUNCTION callctl.%1$I() RETURNS trigger
LANGUAGE plpgsql AS $body$
BEGIN
  NEW := OLD;
  RETURN NEW;
END
$body$ $make$, 'fill_' || relation);
  EXECUTE format('COMMENT ON FUNCTION callctl.%I() IS %L', 'fill_' || relation,
    'Puts every column back that another trigger has changed, such as updated_at, where callctl fills its shadow column');
  EXECUTE format($make$
CREATE FUNCTION callctl.%1$I() RETURNS trigger
LANGUAGE plpgsql AS $body$
BEGIN
  NEW.%3$I := pg_catalog.left(NEW.%2$I, %4$s);
  RETURN NEW;
END
$body$ $make$, 'shadow_' || relation, p_column, p_shadow, most);
  EXECUTE format('COMMENT ON FUNCTION callctl.%I() IS %L', 'shadow_' || relation,
    'Keeps the shadow column the same as the column it will replace, whoever writes');

  FOR o IN SELECT d.ddl FROM callctl.definition d WHERE d.step = p_step AND d.kind = 'shadow column' ORDER BY d.ordinal LOOP
    EXECUTE o.ddl;
  END LOOP;
  -- Triggers fire in the order of their names (PostgreSQL manual, "Overview of Trigger Behavior"): these come last. And for
  -- replicas' writers and loaders, too, which set session_replication_role.
  EXECUTE format('CREATE TRIGGER zzz_callctl_shadow_1_fill BEFORE UPDATE OF %I ON %s FOR EACH ROW WHEN (pg_catalog.current_setting(''callctl.fill'', true) = ''on'') EXECUTE FUNCTION callctl.%I()',
                 p_shadow, p_table, 'fill_' || relation);
  EXECUTE format('CREATE TRIGGER zzz_callctl_shadow_2_keep BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION callctl.%I()',
                 p_table, 'shadow_' || relation);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER zzz_callctl_shadow_1_fill, ENABLE ALWAYS TRIGGER zzz_callctl_shadow_2_keep', p_table);
END
$$;
COMMENT ON PROCEDURE callctl.begin_shadow(integer, regclass, name, name) IS
  'Adds a column of the type that a step changed beside the column, with triggers that keep the two the same, and writes down what makes one the other; nothing where that is under way';

CREATE OR REPLACE FUNCTION callctl.shadow_agrees(p_table regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT k.convalidated
    FROM pg_constraint AS k
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN callctl.definition AS d ON d.kind = 'shadow' AND d.relation = c.relname
   WHERE k.conrelid = p_table AND k.conname = 'callctl_shadow_agrees' AND k.contype = 'c'
     AND regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '') = d.detail ->> 'agrees'
$$;
COMMENT ON FUNCTION callctl.shadow_agrees(regclass) IS
  'Whether the CHECK of callctl.shadow_check() is validated; NULL where it is not there, or says something else';

CREATE OR REPLACE PROCEDURE callctl.promise_shadow(p_table regclass, p_column name, p_shadow name, p_length integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF callctl.shadow_agrees(p_table) IS NULL THEN
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS callctl_shadow_agrees, ADD %s NOT VALID', p_table,
                   callctl.shadow_check(p_column, p_shadow, p_length));
  END IF;
END
$$;
COMMENT ON PROCEDURE callctl.promise_shadow(regclass, name, name, integer) IS
  'Lets no row be written from here on whose shadow differs from the column, or that is longer than the old type takes';

CREATE OR REPLACE PROCEDURE callctl.prove_shadow(p_table regclass, p_column name, p_shadow name, p_length integer)
LANGUAGE plpgsql AS $$
DECLARE
  wait constant text := coalesce(nullif(pg_catalog.current_setting('callctl.lock_timeout', true), ''), '200ms');
  broken boolean := false;
  found text;
  total bigint;
BEGIN
  -- A procedure that commits can have no SET of its own.
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  PERFORM set_config('lock_timeout', wait, true);
  CALL callctl.promise_shadow(p_table, p_column, p_shadow, p_length);
  COMMIT;
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  BEGIN
    EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT callctl_shadow_agrees', p_table);
  EXCEPTION WHEN check_violation THEN
    broken := true;
  END;
  IF broken THEN
    -- With the CHECK there, these rows could not be written at all.
    PERFORM set_config('lock_timeout', wait, true);
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT callctl_shadow_agrees', p_table);
    COMMIT;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    EXECUTE format('SELECT count(*), string_agg(CASE WHEN number <= 5 THEN shown END, ''; '') FROM (
        SELECT row_number() OVER () AS number, format(''%%s: %%s characters'', id, length(%2$I)) AS shown FROM %1$s
         WHERE %3$I::text COLLATE "C" IS DISTINCT FROM %2$I COLLATE "C" OR length(%2$I) > %4$s) AS different',
      p_table, p_column, p_shadow, p_length) INTO total, found;
    RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = format(
      '%s of %s: %I has more than %s characters, or differs from %I (%s): it was written a moment ago, or past the trigger; %s',
      CASE total WHEN 1 THEN '1 row' ELSE total || ' rows' END, p_table, p_column, p_length, p_shadow, found, callctl.in_the_way(p_table));
  END IF;
END
$$;
COMMENT ON PROCEDURE callctl.prove_shadow(regclass, name, name, integer) IS
  'Proves that the shadow and its column agree in every row and that none is longer than the old type takes; leaves a validated CHECK that keeps it so, or names rows and leaves none';

CREATE OR REPLACE PROCEDURE callctl.swap_shadow(p_step integer, p_table regclass, p_column name)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  o record;
  was text;
  shadow name;
  facts text;
BEGIN
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', p_table);
  SELECT d.name, d.detail ->> 'facts' INTO STRICT shadow, was FROM callctl.definition AS d WHERE d.step = p_step AND d.kind = 'shadow';
  -- No one writes any more. A validated CHECK says of every row what it says, whatever triggers were off.
  IF callctl.shadow_agrees(p_table) IS NOT TRUE THEN
    RAISE EXCEPTION 'the CHECK callctl_shadow_agrees of % is missing, changed or not validated: it was dropped a moment ago', p_table;
  END IF;
  FOR o IN
    SELECT d.name FROM callctl.definition AS d
     WHERE d.step = p_step AND d.kind = 'shadow validate' AND NOT EXISTS (
       SELECT FROM pg_constraint AS k
        WHERE k.conrelid = p_table AND k.convalidated AND k.conname = d.detail ->> 'made')
  LOOP
    RAISE EXCEPTION 'the CHECK that will be % of % is missing or not validated: it was dropped a moment ago', o.name, p_table;
  END LOOP;
  FOR o IN
    SELECT d.name FROM callctl.definition AS d
     WHERE d.step = p_step AND d.kind IN ('shadow index', 'shadow unique index') AND NOT EXISTS (
       SELECT FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE i.indrelid = p_table AND i.indisvalid AND c.relname = d.detail ->> 'made')
  LOOP
    RAISE EXCEPTION 'the index that will be % of % is missing or not valid: it was dropped a moment ago', o.name, p_table;
  END LOOP;
  facts := callctl.column_facts(p_table, p_column);
  IF facts IS DISTINCT FROM was THEN
    RAISE EXCEPTION 'what belongs to column % of % has changed since its shadow column was added (%); run the same command again: it begins again',
      p_column, p_table, (SELECT string_agg(left(f, 200), '; ') FROM (
        (SELECT f FROM regexp_split_to_table(facts, E'\n') AS f EXCEPT SELECT f FROM regexp_split_to_table(was, E'\n') AS f)
        UNION ALL
        (SELECT f FROM regexp_split_to_table(was, E'\n') AS f EXCEPT SELECT f FROM regexp_split_to_table(facts, E'\n') AS f)) AS changed);
  END IF;
  FOR o IN SELECT d.ddl FROM callctl.definition AS d WHERE d.step = p_step AND d.kind = 'shadow swap' ORDER BY d.ordinal LOOP
    EXECUTE o.ddl;
  END LOOP;
END
$$;
COMMENT ON PROCEDURE callctl.swap_shadow(integer, regclass, name) IS
  'Drops a column and gives its name to the shadow, which gets the names of its indexes, CHECKs and statistics objects, where what callctl.prove_shadow() found still holds behind the lock; reads the catalog alone';

CREATE OR REPLACE PROCEDURE callctl.drop_shadow(p_step integer, p_table regclass)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  shadow name := (SELECT d.name FROM callctl.definition AS d WHERE d.step = p_step AND d.kind = 'shadow');
  relation name := (SELECT relname FROM pg_class WHERE oid = p_table);
BEGIN
  IF shadow IS NULL THEN
    RETURN;
  END IF;
  EXECUTE format('DROP TRIGGER IF EXISTS zzz_callctl_shadow_1_fill ON %s', p_table);
  EXECUTE format('DROP TRIGGER IF EXISTS zzz_callctl_shadow_2_keep ON %s', p_table);
  -- Its indexes, its statistics objects and the CHECKs that name it go with it.
  EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS callctl_shadow_agrees, DROP COLUMN IF EXISTS %I', p_table, shadow);
  EXECUTE format('DROP FUNCTION IF EXISTS callctl.%I(), callctl.%I()', 'fill_' || relation, 'shadow_' || relation);
  DELETE FROM callctl.definition WHERE step = p_step AND kind LIKE 'shadow%';
END
$$;
COMMENT ON PROCEDURE callctl.drop_shadow(integer, regclass) IS
  'Removes a shadow column with its triggers, CHECKs, indexes and statistics objects, and what was written down of it; nothing where none is under way';

-- ---------------------------------------------------------------------------------------------------
-- Both forms of one truth: the type column and the capability flags
-- ---------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS callctl.proof (
  relation text PRIMARY KEY,
  triggers text NOT NULL,
  proved_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE callctl.proof IS
  'Tables whose type column and flags were found to say the same in every row, what one cannot say of the other being saved';
COMMENT ON COLUMN callctl.proof.relation IS 'The table, by its documented name';
COMMENT ON COLUMN callctl.proof.triggers IS
  'The triggers that keep it so, as pg_trigger had them before the rows were read (callctl.sync_triggers)';
COMMENT ON COLUMN callctl.proof.proved_at IS 'When the rows were read';

CREATE OR REPLACE FUNCTION callctl.forms_agree(p_row text, p_type name, p_chat name, p_call name) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT format('coalesce(%1$s%2$I = ''call'', false) = (%1$s%4$I AND NOT %1$s%3$I)', p_row, p_type, p_chat, p_call)
$$;
COMMENT ON FUNCTION callctl.forms_agree(text, name, name, name) IS
  'The condition that a row''s type says of its flags what it can: call means calls alone, and any other type, or none, means anything else';

CREATE OR REPLACE FUNCTION callctl.make_sync(p_table regclass, p_type name, p_chat name, p_call name)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  relation name := (SELECT relname FROM pg_class WHERE oid = p_table);
  key name := left(relation, -1) || '_id';  -- of callctl.saved_value
  -- In a form that PostgreSQL prints the same whatever type the column has, for verify to compare.
  differ text := format('to_jsonb(OLD.%1$I) IS DISTINCT FROM to_jsonb(NEW.%1$I) OR OLD.%2$I <> NEW.%2$I OR OLD.%3$I <> NEW.%3$I',
                        p_type, p_chat, p_call);
  unusual text := format('rtrim(concat(%1$s.%2$I)) NOT IN (''chat'', ''call'') OR (%1$s.%3$I AND %1$s.%4$I)', '%1$s', p_type, p_chat, p_call);
  agree text := format('(rtrim(concat(NEW.%1$I)) = ''call'') = (NEW.%3$I AND NOT NEW.%2$I)', p_type, p_chat, p_call);
  t record;
BEGIN
  PERFORM callctl.drop_sync(p_table);
  -- The names are written into the bodies: looked up for each row instead, they cost more than the row's own update.
  EXECUTE format($make$
CREATE FUNCTION callctl.%1$I() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
-- The argument says what the statement names: type, flags; insert: nobody can tell; other: neither, another trigger wrote.
DECLARE
  kind text := NEW.%3$I;
  chat boolean := NEW.%4$I;
  call boolean := NEW.%5$I;
  flags_win boolean;
  unsaid boolean := false;
  writes text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    -- Flags that differ from their defaults were written by code that knows them.
    flags_win := NOT chat OR call;
    IF kind IS NULL AND (SELECT attnotnull FROM pg_attribute WHERE attrelid = TG_RELID AND attname = %3$L) THEN
      -- Code that knows only the flags, and a type column without a default that must be filled all the same.
      flags_win := true;
      unsaid := true;
    END IF;
  ELSE
    flags_win := TG_ARGV[0] = 'flags' OR chat IS DISTINCT FROM OLD.%4$I OR call IS DISTINCT FROM OLD.%5$I;
  END IF;

  IF flags_win THEN
    -- Any type but call says of a row that chats what it can: a hybrid keeps it.
    IF unsaid OR coalesce(kind = 'call', false) <> (call AND NOT chat) THEN
      kind := CASE WHEN call AND NOT chat THEN 'call' ELSE 'chat' END;
      NEW.%3$I := kind;
    END IF;
  ELSIF NOT (chat AND coalesce(kind = 'chat', false))  -- chat over a hybrid says nothing against it
    -- nor does a saved type that callctl restores beside the flags it was saved with
    AND NOT (chat AND call AND TG_OP = 'UPDATE' AND EXISTS (
      SELECT FROM callctl.saved_value AS s
       WHERE s.%6$I = OLD.id AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
         AND s.value IS NOT DISTINCT FROM to_jsonb(NEW.%3$I) AND s.value IS DISTINCT FROM to_jsonb(OLD.%3$I)
         AND s.left_there = jsonb_build_object('chat', chat, 'call', call))) THEN
    chat := kind IS DISTINCT FROM 'call';
    call := NOT chat;
    NEW.%4$I := chat;
    NEW.%5$I := call;
  END IF;

  -- A value that waits to be restored is older than this write, and stays only where the row held and holds what callctl left
  -- there. Where the row says call now, nothing that is saved fits it, and the write that changes it again sees to that: so a
  -- batch that fills one form from the other looks nothing up.
  IF TG_ARGV[0] IN ('type', 'flags') AND NOT (call AND NOT chat) THEN
    writes := callctl.set_writes('on');
    UPDATE callctl.saved_value AS s SET superseded_at = now()
     WHERE s.%6$I = OLD.id AND s.superseded_at IS NULL
       AND (s.field = 'chatbot_type' AND s.saved_by = 'up'
            AND s.value IS DISTINCT FROM to_jsonb(OLD.%3$I) AND s.value IS DISTINCT FROM to_jsonb(NEW.%3$I)
            AND (TG_ARGV[0] = 'type' OR s.left_there <> jsonb_build_object('chat', OLD.%4$I, 'call', OLD.%5$I)
                 OR s.left_there <> jsonb_build_object('chat', chat, 'call', call))
         OR s.field = 'capabilities' AND s.saved_by = 'down'
            AND s.value <> jsonb_build_object('chat', OLD.%4$I, 'call', OLD.%5$I)
            AND s.value <> jsonb_build_object('chat', chat, 'call', call)
            AND (TG_ARGV[0] = 'flags' OR s.left_there IS DISTINCT FROM to_jsonb(OLD.%3$I) OR kind IS DISTINCT FROM 'chat'));
    PERFORM callctl.set_writes(writes);
  END IF;
  RETURN NEW;
END
$body$ $make$, 'sync_' || relation, relation, p_type, p_chat, p_call, key);
  EXECUTE format('COMMENT ON FUNCTION callctl.%I() IS %L', 'sync_' || relation,
    'Keeps the type column and the capability flags in step while both exist: the form that a statement writes wins');

  EXECUTE format($make$
CREATE FUNCTION callctl.%1$I() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
-- Types are kept as the column holds them (char(n) is padded), because that is what the steps compare them with.
DECLARE
  flags jsonb := jsonb_build_object('chat', NEW.%4$I, 'call', NEW.%5$I);
  writes constant text := callctl.set_writes('on');
BEGIN
  IF (NEW.%3$I IN ('chat', 'call')) IS NOT TRUE THEN
    INSERT INTO callctl.saved_value AS s (%6$I, field, saved_by, value, left_there)
    VALUES (NEW.id, 'chatbot_type', 'up', to_jsonb(NEW.%3$I), flags)
    ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
    DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now()
     WHERE (s.value, s.left_there) IS DISTINCT FROM (EXCLUDED.value, EXCLUDED.left_there);
  ELSIF TG_OP = 'UPDATE' AND (OLD.%3$I IN ('chat', 'call')) IS NOT TRUE THEN
    DELETE FROM callctl.saved_value AS s
     WHERE s.%6$I = NEW.id AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
       AND s.value IS NOT DISTINCT FROM to_jsonb(OLD.%3$I);
  END IF;
  IF NEW.%4$I AND NEW.%5$I THEN
    INSERT INTO callctl.saved_value AS s (%6$I, field, saved_by, value, left_there)
    VALUES (NEW.id, 'capabilities', 'down', flags, to_jsonb(NEW.%3$I))
    ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
    DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now()
     WHERE (s.value, s.left_there) IS DISTINCT FROM (EXCLUDED.value, EXCLUDED.left_there);
  ELSIF TG_OP = 'UPDATE' AND OLD.%4$I AND OLD.%5$I THEN
    DELETE FROM callctl.saved_value AS s
     WHERE s.%6$I = NEW.id AND s.field = 'capabilities' AND s.saved_by = 'down' AND s.superseded_at IS NULL
       AND s.value = jsonb_build_object('chat', OLD.%4$I, 'call', OLD.%5$I);
  END IF;
  PERFORM callctl.set_writes(writes);
  RETURN NULL;
END
$body$ $make$, 'keep_' || relation, relation, p_type, p_chat, p_call, key);
  EXECUTE format('COMMENT ON FUNCTION callctl.%I() IS %L', 'keep_' || relation,
    'Saves of each row that is stored what one form cannot say of the other, and deletes it when the row says something else');

  -- Triggers fire in the order of their names (PostgreSQL manual, "Overview of Trigger Behavior"): these come last.
  FOR t IN SELECT * FROM (VALUES
    ('zzz_callctl_sync_1_type', format('BEFORE UPDATE OF %I', p_type), NULL, 'sync_', 'type'),
    ('zzz_callctl_sync_2_flags', format('BEFORE UPDATE OF %I, %I', p_chat, p_call), NULL, 'sync_', 'flags'),
    ('zzz_callctl_sync_3_insert', 'BEFORE INSERT', NULL, 'sync_', 'insert'),
    ('zzz_callctl_sync_4_other', 'BEFORE UPDATE',
     format('(%s) AND NOT (%s)', differ, agree), 'sync_', 'other'),
    ('zzz_callctl_keep_insert', 'AFTER INSERT', format(unusual, 'NEW'), 'keep_', NULL),
    ('zzz_callctl_keep_update', 'AFTER UPDATE',
     format('(%s) AND (%s OR %s)', differ, format(unusual, 'NEW'), format(unusual, 'OLD')), 'keep_', NULL)
  ) AS wanted (name, event, condition, function, argument) LOOP
    EXECUTE format('CREATE TRIGGER %I %s ON %s FOR EACH ROW %s EXECUTE FUNCTION callctl.%I(%s)', t.name, t.event, p_table,
                   'WHEN (' || t.condition || ')', t.function || relation, coalesce(quote_literal(t.argument), ''));
    -- For replicas' writers and loaders, too, which set session_replication_role.
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', p_table, t.name);
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.make_sync(regclass, name, name, name) IS
  'Makes, or makes again, the triggers that keep a table''s type column and capability flags in step, and save what one cannot say of the other';

CREATE OR REPLACE FUNCTION callctl.drop_sync(p_table regclass)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  named name := (SELECT relname FROM pg_class WHERE oid = p_table);
  t record;
BEGIN
  FOR t IN
    SELECT g.tgname FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
     WHERE g.tgrelid = p_table AND p.pronamespace = 'callctl'::regnamespace ORDER BY g.tgname
  LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, p_table);
  END LOOP;
  EXECUTE format('DROP FUNCTION IF EXISTS callctl.%I(), callctl.%I()', 'sync_' || named, 'keep_' || named);
  DELETE FROM callctl.proof WHERE relation = named;
END
$$;
COMMENT ON FUNCTION callctl.drop_sync(regclass) IS 'Drops what callctl.make_sync() has made';

CREATE OR REPLACE FUNCTION callctl.sync_triggers(p_table regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT string_agg(concat_ws(' ', g.tgname, g.oid, g.tgenabled, g.xmin), ', ' ORDER BY g.tgname)
    FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
   WHERE g.tgrelid = p_table AND p.pronamespace = 'callctl'::regnamespace
  HAVING count(*) FILTER (WHERE g.tgenabled = 'A') = 6
$$;
COMMENT ON FUNCTION callctl.sync_triggers(regclass) IS
  'The triggers of callctl.make_sync() with the version of their rows in pg_trigger, which any ENABLE or DISABLE TRIGGER changes; NULL where one is missing or does not fire always';

CREATE OR REPLACE FUNCTION callctl.with_children(p_table regclass) RETURNS SETOF oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH RECURSIVE t (oid) AS (
    SELECT p_table::oid
    UNION
    SELECT h.inhrelid FROM t JOIN pg_inherits h ON h.inhparent = t.oid
  )
  SELECT t.oid FROM t
$$;
COMMENT ON FUNCTION callctl.with_children(regclass) IS 'A table, its partitions and its inheritance children';

CREATE OR REPLACE FUNCTION callctl.fires_after(p_table regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM pg_trigger g
                  WHERE g.tgrelid IN (SELECT callctl.with_children(p_table)) AND NOT g.tgisinternal AND g.tgenabled <> 'D'
                    AND g.tgtype & 16 = 16 AND g.tgtype & 66 = 0)  -- UPDATE; neither BEFORE nor INSTEAD OF
$$;
COMMENT ON FUNCTION callctl.fires_after(regclass) IS
  'Whether a trigger fires after an UPDATE of a table: it can change what RETURNING has said';

CREATE OR REPLACE FUNCTION callctl.not_at_once(p_why text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '%', p_why USING ERRCODE = 'CCT01';
END
$$;
COMMENT ON FUNCTION callctl.not_at_once(text) IS
  'Ends a statement that writes and is a transaction: its rows are written again in one that can look at them before it commits';

CREATE OR REPLACE FUNCTION callctl.in_the_way(p_table regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce('on it are ' || string_agg(w.what, ', ' ORDER BY w.what), 'no trigger or rule of others is on it')
    FROM (SELECT format('trigger %I (%s, function %s)', g.tgname,
                        CASE g.tgenabled WHEN 'D' THEN 'disabled' ELSE 'enabled' END, g.tgfoid::regprocedure) AS what
            FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
           WHERE g.tgrelid IN (SELECT callctl.with_children(p_table)) AND NOT g.tgisinternal
             AND p.pronamespace <> 'callctl'::regnamespace AND p.proname <> 'check_chatbot_capabilities'
          UNION
          SELECT format('rule %I', r.rulename) FROM pg_rewrite r WHERE r.ev_class = p_table AND r.rulename <> '_RETURN') AS w
$$;
COMMENT ON FUNCTION callctl.in_the_way(regclass) IS
  'Names the triggers and rules of others on a table, which could have changed or swallowed a write';

CREATE OR REPLACE FUNCTION callctl.is_subscribed(p_table regclass) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Before PostgreSQL 14 only a superuser may read which subscription is which: then any that is enabled counts.
  IF has_column_privilege('pg_subscription', 'oid', 'SELECT') THEN
    RETURN EXISTS (SELECT FROM pg_subscription_rel AS r JOIN pg_subscription AS s ON s.oid = r.srsubid
                    WHERE r.srrelid = p_table AND s.subenabled);
  END IF;
  RETURN EXISTS (SELECT FROM pg_subscription_rel AS r WHERE r.srrelid = p_table)
     AND EXISTS (SELECT FROM pg_subscription AS s WHERE s.subenabled);
END
$$;
COMMENT ON FUNCTION callctl.is_subscribed(regclass) IS 'Whether an enabled subscription writes to a table';

CREATE OR REPLACE PROCEDURE callctl.prove_forms(
  p_step integer, p_direction text, p_table regclass, p_type name, p_chat name, p_call name)
LANGUAGE plpgsql AS $$
DECLARE
  -- In one transaction for all steps (--atomic) nobody else writes: no commit, and no lock to let go of.
  alone constant boolean := coalesce(pg_catalog.current_setting('callctl.atomic', true), '') = 'on';
  wait constant text := coalesce(nullif(pg_catalog.current_setting('callctl.lock_timeout', true), ''), '200ms');
  named name;
  problem text;
  broken boolean := false;
BEGIN
  IF EXISTS (SELECT FROM unnest(ARRAY[p_type, p_chat, p_call]) AS wanted WHERE NOT EXISTS (
               SELECT FROM pg_attribute WHERE attrelid = p_table AND attname = wanted AND NOT attisdropped)) THEN
    RETURN;  -- one of the two forms is gone: a run that is resumed
  END IF;
  named := (SELECT relname FROM pg_class WHERE oid = p_table);

  IF callctl.is_subscribed(p_table) THEN
    problem := format('a subscription writes to %s: a constraint would stop it', p_table);
  ELSIF callctl.sync_triggers(p_table) IS NULL THEN
    PERFORM set_config('lock_timeout', wait, true);
    PERFORM callctl.make_sync(p_table, p_type, p_chat, p_call);
    IF NOT alone THEN
      COMMIT;
    END IF;
  END IF;

  IF problem IS NULL THEN
    -- The triggers first, then the rows: what is written past a trigger that was off in between changes the triggers' rows.
    INSERT INTO callctl.proof AS f (relation, triggers) VALUES (named, callctl.sync_triggers(p_table))
    ON CONFLICT ON CONSTRAINT proof_pkey DO UPDATE SET triggers = EXCLUDED.triggers, proved_at = clock_timestamp();
    problem := callctl.unsaved_forms(p_direction, p_table, p_type, p_chat, p_call);
  END IF;
  IF problem IS NULL THEN
    problem := callctl.forms_that_differ(p_table, p_type, p_chat, p_call);
  END IF;

  IF problem IS NULL AND NOT EXISTS (
    SELECT FROM pg_constraint WHERE conrelid = p_table AND conname = 'callctl_forms_agree' AND convalidated) THEN
    PERFORM set_config('lock_timeout', wait, true);
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS callctl_forms_agree, ADD CONSTRAINT callctl_forms_agree CHECK ((%s) IS TRUE) NOT VALID',
                   p_table, callctl.forms_agree('', p_type, p_chat, p_call));
    IF NOT alone THEN
      COMMIT;
    END IF;
    BEGIN
      EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT callctl_forms_agree', p_table);
    EXCEPTION WHEN check_violation THEN
      broken := true;
    END;
    IF broken THEN
      PERFORM set_config('lock_timeout', wait, true);
      EXECUTE format('ALTER TABLE %s DROP CONSTRAINT callctl_forms_agree', p_table);
      problem := coalesce(callctl.forms_that_differ(p_table, p_type, p_chat, p_call), 'a row was written past the triggers meanwhile');
    END IF;
  END IF;

  IF problem IS NOT NULL THEN
    IF NOT alone THEN
      -- Nothing that cannot be done again was done: the step is pending, and the way down is free.
      DELETE FROM callctl.checkpoint AS c WHERE c.step = p_step AND c.direction = p_direction;
      COMMIT;
    END IF;
    RAISE EXCEPTION USING MESSAGE = problem, ERRCODE = 'check_violation';
  END IF;
END
$$;
COMMENT ON PROCEDURE callctl.prove_forms(integer, text, regclass, name, name, name) IS
  'Proves, before one form is dropped, that every row''s type and flags say the same and that what one cannot say of the other is saved; leaves a validated CHECK that keeps it so. Otherwise refuses, naming rows, and leaves both forms working';

CREATE OR REPLACE FUNCTION callctl.forms_that_differ(p_table regclass, p_type name, p_chat name, p_call name) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  found text;
  total bigint;
BEGIN
  EXECUTE format('SELECT count(*), string_agg(CASE WHEN number <= 5 THEN shown END, ''; '') FROM (
      SELECT row_number() OVER () AS number, concat_ws('' '', t.id, ''type'', coalesce(t.%2$I::text, ''NULL''), ''chat'', t.%3$I, ''call'', t.%4$I) AS shown
        FROM %1$s AS t WHERE (%5$s) IS NOT TRUE) AS different',
    p_table, p_type, p_chat, p_call, callctl.forms_agree('t.', p_type, p_chat, p_call)) INTO total, found;
  RETURN CASE WHEN total > 0 THEN format(
    'in %1$s %2$s of %3$s the type and the flags contradict each other (%4$s), so neither can be dropped; %5$s. To take the type''s side: UPDATE %3$s SET %6$I = %6$I WHERE (%8$s) IS NOT TRUE; to take the flags'': UPDATE %3$s SET %7$I = %7$I WHERE (%8$s) IS NOT TRUE;',
    total, CASE total WHEN 1 THEN 'row' ELSE 'rows' END, p_table, found, callctl.in_the_way(p_table), p_type, p_chat,
    callctl.forms_agree('', p_type, p_chat, p_call)) END;
END
$$;
COMMENT ON FUNCTION callctl.forms_that_differ(regclass, name, name, name) IS
  'Which rows'' type and flags contradict each other, as a sentence with five of them; NULL for none';

CREATE OR REPLACE FUNCTION callctl.flags_filled(p_relation name) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(max(h.id) FILTER (WHERE h.step = 4), 0)
         > coalesce(max(h.id) FILTER (WHERE h.step = CASE p_relation WHEN 'chatbots' THEN 3 ELSE 2 END), 0)
    FROM callctl.history AS h WHERE h.direction = 'up'
$$;
COMMENT ON FUNCTION callctl.flags_filled(name) IS
  'Whether step 4 was applied since a table got its flags: until then the type of a row counts, and saved flags wait to be restored';

CREATE OR REPLACE FUNCTION callctl.unsaved_forms(p_direction text, p_table regclass, p_type name, p_chat name, p_call name)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  relation name := (SELECT relname FROM pg_class WHERE oid = p_table);
  field text := CASE p_direction WHEN 'up' THEN 'chatbot_type' ELSE 'capabilities' END;
  found text;
  total bigint;
BEGIN
  EXECUTE format('SELECT count(*), string_agg(CASE WHEN number <= 5 THEN id::text END, '', '') FROM (
      SELECT row_number() OVER () AS number, t.id FROM %1$s AS t WHERE %2$s AND NOT EXISTS (
        SELECT FROM callctl.saved_value AS s
         WHERE s.row_id = t.id AND s.relation = %3$L AND s.field = %4$L AND s.saved_by = %5$L AND s.superseded_at IS NULL
           AND s.value IS NOT DISTINCT FROM %6$s)) AS missing',
    p_table,
    CASE p_direction WHEN 'up' THEN format('(t.%I IN (''chat'', ''call'')) IS NOT TRUE', p_type)
                     ELSE format('t.%I AND t.%I', p_chat, p_call) END,
    relation, field, p_direction,
    CASE p_direction WHEN 'up' THEN format('to_jsonb(t.%I)', p_type)
                     ELSE format('jsonb_build_object(''chat'', t.%I, ''call'', t.%I)', p_chat, p_call) END)
    INTO total, found;
  IF total = 0 THEN
    -- A saved value that the row does not hold any more, though both forms are filled: it would come back over a newer one.
    EXECUTE format('SELECT count(*), string_agg(CASE WHEN number <= 5 THEN id::text END, '', '') FROM (
        SELECT row_number() OVER () AS number, t.id FROM callctl.saved_value AS s JOIN %1$s AS t ON t.id = s.row_id
         WHERE s.relation = %2$L AND s.field = %3$L AND s.saved_by = %4$L AND s.superseded_at IS NULL
           AND s.value IS DISTINCT FROM %5$s AND (%4$L = ''up'' OR callctl.flags_filled(%2$L))) AS stale',
      p_table, relation, field, p_direction,
      CASE p_direction WHEN 'up' THEN format('to_jsonb(t.%I)', p_type)
                       ELSE format('jsonb_build_object(''chat'', t.%I, ''call'', t.%I)', p_chat, p_call) END)
      INTO total, found;
  END IF;
  RETURN CASE WHEN total > 0 THEN format('%s of %s %s of %s is not saved (%s): it was written past the triggers a moment ago; run the same command again',
    CASE p_direction WHEN 'up' THEN 'the type' ELSE 'the pair of flags' END, total, CASE total WHEN 1 THEN 'row' ELSE 'rows' END, p_table, found) END;
END
$$;
COMMENT ON FUNCTION callctl.unsaved_forms(text, regclass, name, name, name) IS
  'Of which rows what the other form cannot say is not saved, or is saved as it was before, as a sentence with five of them; NULL for none';

CREATE OR REPLACE PROCEDURE callctl.end_sync(p_table regclass)
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', p_table);
  -- No one writes any more. What was found of every row holds as long as what has kept it so was never off.
  IF NOT EXISTS (SELECT FROM pg_constraint
                  WHERE conrelid = p_table AND conname = 'callctl_forms_agree' AND contype = 'c' AND convalidated) THEN
    RAISE EXCEPTION 'the CHECK callctl_forms_agree of % is missing or not validated: it was dropped a moment ago', p_table;
  END IF;
  IF callctl.sync_triggers(p_table) IS DISTINCT FROM (
       SELECT f.triggers FROM callctl.proof AS f JOIN pg_class AS c ON c.oid = p_table AND c.relname = f.relation) THEN
    RAISE EXCEPTION 'a trigger of callctl on % was disabled, enabled or replaced a moment ago: a write may have passed it by', p_table;
  END IF;
  PERFORM callctl.drop_sync(p_table);
END
$$;
COMMENT ON PROCEDURE callctl.end_sync(regclass) IS
  'Drops what callctl.make_sync() has made, in the transaction that drops one of the forms, where what callctl.prove_forms() found still holds behind the lock; reads the catalog alone';

-- ---------------------------------------------------------------------------------------------------
-- The tally: what callctl's tables must hold, counted where they are written (docs/explanation/decisions/0024)
-- ---------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION callctl.counted_tables() RETURNS TABLE (relation text, part text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  -- Not counted: work_list and work_done, which are made again; spared_value, which is empty but within one statement and
  -- emptied at its beginning; checkpoint, which verify reports while a row is in it; tally, whose sums are compared.
  -- A column that is added later changes the text of every row: the store that adds it must begin that table's count again.
  SELECT t.name, CASE t.name WHEN 'saved_value' THEN 'r.relation || ''.'' || r.field' ELSE '''''::text' END
    FROM unnest(ARRAY['action', 'bound_field', 'definition', 'encryption_key', 'history', 'inheritance_breach', 'installation',
                      'kept_webhook_secret', 'known_before', 'load_test', 'made', 'proof', 'rotation', 'rotation_failure',
                      'rotation_range', 'saved_row', 'saved_value', 'seeded_model', 'withheld_model']) AS t (name)
$$;
COMMENT ON FUNCTION callctl.counted_tables() IS
  'The tables of this schema whose rows are counted, and the expression by which a table''s rows are counted in parts';

CREATE OR REPLACE FUNCTION callctl.followed_tables(p_table regclass)
RETURNS TABLE (key name, followed regclass, followed_key name)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.attname, c.confrelid::regclass, f.attname
    FROM pg_constraint AS c
    JOIN pg_class AS p ON p.oid = c.confrelid
    JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    JOIN pg_attribute AS f ON f.attrelid = c.confrelid AND f.attnum = c.confkey[1]
   WHERE c.conrelid = p_table AND c.contype = 'f' AND cardinality(c.conkey) = 1 AND p.relnamespace <> 'callctl'::regnamespace
     -- Where it may not look, nothing is known of the rows; a client's write must not fail for that.
     AND has_schema_privilege(p.relnamespace, 'USAGE') AND has_table_privilege(p.oid, 'SELECT')
$$;
COMMENT ON FUNCTION callctl.followed_tables(regclass) IS
  'The platform''s tables whose rows a table''s rows go with by a foreign key, and the columns that join them';

CREATE OR REPLACE FUNCTION callctl.count_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET "DateStyle" = 'ISO, MDY' SET "TimeZone" = 'UTC' AS $$
-- 'written' are the rows that a statement added or removed; of an UPDATE the rows as they are now, and 'gone' as they were.
-- Rows are only added to the tally, so no client waits for another.
DECLARE
  sign constant integer := CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END;
  k record;
  there boolean;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    -- TRUNCATE ... CASCADE of the table that its rows go with: nothing is left of that one either.
    FOR k IN SELECT f.followed FROM callctl.followed_tables(TG_RELID) AS f LOOP
      EXECUTE format('SELECT EXISTS (SELECT FROM %s)', k.followed) INTO there;
      IF NOT there THEN
        INSERT INTO callctl.tally (relation, part, row_count, digest)
        SELECT y.relation, y.part, -sum(y.row_count), -sum(y.digest)
          FROM callctl.tally AS y WHERE y.relation = TG_TABLE_NAME GROUP BY y.relation, y.part;
      END IF;
    END LOOP;

  ELSIF current_setting('callctl.writes', true) = 'on' THEN
    IF TG_TABLE_NAME = 'saved_value' THEN
      INSERT INTO callctl.tally (relation, part, row_count, digest)
      SELECT TG_TABLE_NAME, r.relation || '.' || r.field, sign * count(*), sign * sum(callctl.row_digest(r::text))
        FROM written AS r GROUP BY r.relation, r.field;
      IF TG_OP = 'UPDATE' THEN
        INSERT INTO callctl.tally (relation, part, row_count, digest)
        SELECT TG_TABLE_NAME, r.relation || '.' || r.field, -count(*), -sum(callctl.row_digest(r::text))
          FROM gone AS r GROUP BY r.relation, r.field;
      END IF;
    ELSE
      INSERT INTO callctl.tally (relation, row_count, digest)
      SELECT TG_TABLE_NAME, sign * count(*), sign * sum(callctl.row_digest(r::text)) FROM written AS r HAVING count(*) > 0;
      IF TG_OP = 'UPDATE' THEN
        INSERT INTO callctl.tally (relation, row_count, digest)
        SELECT TG_TABLE_NAME, -count(*), -sum(callctl.row_digest(r::text)) FROM gone AS r HAVING count(*) > 0;
      END IF;
    END IF;

  -- A foreign key has removed them with the platform's rows, or given them those rows' new keys. What another hand removes
  -- or changes is not counted: verify sees the difference. Every DELETE of such a row comes here, so nothing is looked up first.
  ELSIF TG_NARGS > 0 AND TG_OP <> 'INSERT' AND EXISTS (SELECT FROM written) THEN
    FOR k IN SELECT * FROM callctl.followed_tables(TG_RELID) LOOP
      IF TG_OP = 'DELETE' THEN
        EXECUTE format(
          'INSERT INTO callctl.tally (relation, part, row_count, digest)
           SELECT %1$L, %2$s, -count(*), -sum(callctl.row_digest(r::text)) FROM written AS r
            WHERE r.%3$I IS NOT NULL AND NOT EXISTS (SELECT FROM %4$s AS t WHERE t.%5$I = r.%3$I) GROUP BY 2',
          TG_TABLE_NAME, TG_ARGV[0], k.key, k.followed, k.followed_key);
      ELSE
        EXECUTE format(
          'WITH before AS (
             SELECT to_jsonb(r) - ARRAY[%3$L, ''row_id''] AS rest, %2$s AS part, callctl.row_digest(r::text)::numeric AS digest FROM gone AS r
              WHERE r.%3$I IS NOT NULL AND NOT EXISTS (SELECT FROM %4$s AS t WHERE t.%5$I = r.%3$I)
           ), after AS (
             SELECT to_jsonb(r) - ARRAY[%3$L, ''row_id''] AS rest, %2$s AS part, callctl.row_digest(r::text)::numeric AS digest FROM written AS r
              WHERE EXISTS (SELECT FROM %4$s AS t WHERE t.%5$I = r.%3$I)
           )
           INSERT INTO callctl.tally (relation, part, row_count, digest)
           SELECT %1$L, m.part, sum(m.row_count), sum(m.digest)
             FROM (SELECT b.part, -1 AS row_count, -b.digest AS digest FROM before AS b WHERE b.rest IN (SELECT a.rest FROM after AS a)
                   UNION ALL
                   SELECT a.part, 1, a.digest FROM after AS a WHERE a.rest IN (SELECT b.rest FROM before AS b)) AS m
            GROUP BY m.part',
          TG_TABLE_NAME, TG_ARGV[0], k.key, k.followed, k.followed_key);
      END IF;
    END LOOP;
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION callctl.count_rows() IS
  'Adds to callctl.tally what a statement wrote, where callctl.writes is on, or where a foreign key has made rows follow the platform''s';

CREATE OR REPLACE FUNCTION callctl.compare_rows(p_relation text, p_part text)
RETURNS TABLE (part text, recorded bigint, present bigint, digest numeric)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET "DateStyle" = 'ISO, MDY' SET "TimeZone" = 'UTC' AS $$
BEGIN
  RETURN QUERY EXECUTE format(
    'SELECT coalesce(h.part, y.part), coalesce(y.row_count, 0)::bigint, coalesce(h.row_count, 0), coalesce(h.digest, 0) - coalesce(y.digest, 0)
       FROM (SELECT y.part, sum(y.row_count) AS row_count, sum(y.digest) AS digest
               FROM callctl.tally AS y WHERE y.relation = %1$L GROUP BY y.part) AS y
       FULL JOIN (SELECT %2$s AS part, count(*) AS row_count, sum(callctl.row_digest(r::text)) AS digest FROM callctl.%1$I AS r GROUP BY 1) AS h
         ON h.part = y.part', p_relation, p_part);
END
$$;
COMMENT ON FUNCTION callctl.compare_rows(text, text) IS
  'Of one counted table, by part: how many rows are recorded, how many are there, and the sum of the digests there less that recorded';

CREATE OR REPLACE FUNCTION callctl.changed_records()
RETURNS TABLE (relation text, part text, recorded bigint, present bigint, difference text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
BEGIN
  FOR t IN SELECT c.relation, c.part FROM callctl.counted_tables() AS c LOOP
    IF to_regclass(format('callctl.%I', t.relation)) IS NULL THEN
      RETURN QUERY SELECT t.relation, ''::text, coalesce(sum(y.row_count), 0)::bigint, 0::bigint, 'the table is missing'::text
                     FROM callctl.tally AS y WHERE y.relation = t.relation;
    ELSIF NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = format('callctl.%I', t.relation)::regclass AND c.relkind = 'r') THEN
      RETURN QUERY SELECT t.relation, ''::text, NULL::bigint, NULL::bigint, 'it is no table'::text;
    ELSIF NOT EXISTS (SELECT FROM callctl.tally AS y WHERE y.relation = t.relation AND y.kind IN ('begun', 'accepted')) THEN
      RETURN QUERY SELECT t.relation, ''::text, NULL::bigint, NULL::bigint, 'its rows are not recorded'::text;
    ELSE
      RETURN QUERY
      SELECT t.relation, c.part, c.recorded, c.present,
             CASE WHEN c.present < c.recorded THEN 'rows are missing'
                  WHEN c.present > c.recorded THEN 'rows were added'
                  ELSE 'contents were changed' END
        FROM callctl.compare_rows(t.relation, t.part) AS c
       WHERE c.present <> c.recorded OR c.digest <> 0
       ORDER BY c.part;
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.changed_records() IS
  'The counted tables that do not hold what was written to them; no rows: all hold just that';

CREATE OR REPLACE FUNCTION callctl.begin_count(p_accepted text[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
  writes text;
BEGIN
  IF cardinality(p_accepted) = 0 AND NOT EXISTS (SELECT FROM callctl.tally AS y OFFSET 1000) AND NOT EXISTS (
       SELECT FROM callctl.counted_tables() AS c WHERE NOT EXISTS (SELECT FROM callctl.installation AS i WHERE c.relation = ANY (i.counted))) THEN
    RETURN;
  END IF;
  -- One callctl at a time; clients go on adding rows.
  LOCK TABLE callctl.tally IN SHARE UPDATE EXCLUSIVE MODE;
  writes := callctl.set_writes('on');
  DELETE FROM callctl.tally AS y WHERE y.relation = ANY (p_accepted);
  FOR t IN
    SELECT c.* FROM callctl.counted_tables() AS c
     WHERE NOT EXISTS (SELECT FROM callctl.tally AS y WHERE y.relation = c.relation AND y.kind IN ('begun', 'accepted'))
       -- It begins once: where it had begun and is gone, no one can tell any more what the table must hold.
       AND (c.relation = ANY (p_accepted) OR NOT EXISTS (SELECT FROM callctl.installation AS i WHERE c.relation = ANY (i.counted)))
  LOOP
    -- One statement, one snapshot: what is written meanwhile is in it with its row of the tally, or neither is. The triggers
    -- are there, and no transaction from before them writes any more.
    INSERT INTO callctl.tally (relation, part, row_count, digest, kind)
    SELECT t.relation, c.part, c.present - c.recorded, c.digest, CASE WHEN t.relation = ANY (p_accepted) THEN 'accepted' ELSE 'begun' END
      FROM (SELECT c.part, c.recorded, c.present, c.digest FROM callctl.compare_rows(t.relation, t.part) AS c
             WHERE c.present <> c.recorded OR c.digest <> 0
            UNION ALL
            SELECT '', 0, 0, 0) AS c;  -- that it has begun
  END LOOP;
  UPDATE callctl.installation AS i SET counted = i.counted || ARRAY(
           SELECT DISTINCT y.relation FROM callctl.tally AS y
            WHERE y.kind IN ('begun', 'accepted') AND y.relation <> ALL (i.counted) ORDER BY y.relation)
   WHERE EXISTS (SELECT FROM callctl.tally AS y WHERE y.kind IN ('begun', 'accepted') AND y.relation <> ALL (i.counted));
  -- Many rows become one. Those that are added meanwhile are not seen, and stay.
  WITH many AS (
    SELECT y.relation, y.part FROM callctl.tally AS y WHERE y.kind IN ('written', 'summed')
     GROUP BY y.relation, y.part HAVING count(*) > 20
  ), removed AS (
    DELETE FROM callctl.tally AS y USING many AS m
     WHERE y.kind IN ('written', 'summed') AND y.relation = m.relation AND y.part = m.part
    RETURNING y.relation, y.part, y.row_count, y.digest
  )
  INSERT INTO callctl.tally (relation, part, row_count, digest, kind)
  SELECT r.relation, r.part, sum(r.row_count), sum(r.digest), 'summed' FROM removed AS r GROUP BY r.relation, r.part;
  PERFORM callctl.set_writes(writes);
END
$$;
COMMENT ON FUNCTION callctl.begin_count(text[]) IS
  'Begins the count of each table that has none with what is there, and again of the tables named, whose differences an operator accepts; sums the tally up';

DO $$
DECLARE
  t record;
  of_trigger text;
BEGIN
  FOR t IN
    SELECT format('callctl.%I', c.relation) AS name, c.part, w.name AS trigger, w.event, w.rows, g.tgenabled
      FROM callctl.counted_tables() AS c
      CROSS JOIN (VALUES ('count_added', 'INSERT', 'REFERENCING NEW TABLE AS written'),
                         ('count_changed', 'UPDATE', 'REFERENCING OLD TABLE AS gone NEW TABLE AS written'),
                         ('count_removed', 'DELETE', 'REFERENCING OLD TABLE AS written'),
                         ('count_emptied', 'TRUNCATE', '')) AS w (name, event, rows)
      LEFT JOIN pg_trigger AS g ON g.tgrelid = format('callctl.%I', c.relation)::regclass AND g.tgname = w.name
     -- TRUNCATE of the others is never callctl's; of saved_value callctl.spare_values() sees to it.
     WHERE (w.event <> 'TRUNCATE' OR c.relation = 'inheritance_breach')
       -- Made once: to make them again would lock out applications whose triggers save values.
       AND g.tgenabled IS DISTINCT FROM 'A'
  LOOP
    IF t.tgenabled IS NULL THEN
      of_trigger := CASE WHEN t.name IN ('callctl.saved_value', 'callctl.inheritance_breach') THEN quote_literal(t.part) ELSE '' END;
      EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION callctl.count_rows(%s)',
                     t.trigger, t.event, t.name, t.rows, of_trigger);
    END IF;
    -- For replicas' writers and loaders, too, which set session_replication_role.
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.name, t.trigger);
  END LOOP;
END $$;

-- ---------------------------------------------------------------------------------------------------
-- Columns, functions, tables and rows that callctl makes, takes away and brings back
-- ---------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION callctl.remember_missing_columns(p_step integer, p_table regclass, VARIADIC p_columns name[])
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO callctl.made (step, kind, relation, name)
  SELECT p_step, 'column', c.relname, wanted
    FROM unnest(p_columns) AS wanted CROSS JOIN pg_class c
   WHERE c.oid = p_table
     AND NOT EXISTS (SELECT FROM pg_attribute a
                      WHERE a.attrelid = p_table AND a.attname = wanted AND NOT a.attisdropped)
  ON CONFLICT (kind, relation, name) DO NOTHING
$$;
COMMENT ON FUNCTION callctl.remember_missing_columns(integer, regclass, name[]) IS
  'Remembers which columns a step is about to add, as opposed to those it finds';

CREATE OR REPLACE FUNCTION callctl.save_made_columns(p_step integer, p_table regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c record;
BEGIN
  FOR c IN
    SELECT m.relation, m.name, pg_get_expr(d.adbin, d.adrelid) AS expression
      FROM callctl.made m
      JOIN pg_attribute a ON a.attrelid = p_table AND a.attname = m.name AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE m.step = p_step AND m.kind = 'column'
  LOOP
    EXECUTE format(
      'INSERT INTO callctl.saved_value (ai_model_id, field, saved_by, value, left_there)
       SELECT id, %L, ''down'', to_jsonb(%I), NULL FROM %s WHERE %I IS DISTINCT FROM %s
       ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
       DO UPDATE SET value = EXCLUDED.value, saved_at = now()',
      c.name, c.name, p_table, c.name, coalesce(c.expression, 'NULL'));
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.save_made_columns(integer, regclass) IS
  'Saves what others wrote into columns that a step made, before they go';

CREATE OR REPLACE FUNCTION callctl.drop_made_columns(p_step integer, p_table regclass)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  c record;
BEGIN
  FOR c IN SELECT name FROM callctl.made WHERE step = p_step AND kind = 'column' ORDER BY name LOOP
    EXECUTE format('ALTER TABLE %s DROP COLUMN IF EXISTS %I', p_table, c.name);
  END LOOP;
  DELETE FROM callctl.made WHERE step = p_step AND kind = 'column';
END
$$;
COMMENT ON FUNCTION callctl.drop_made_columns(integer, regclass) IS
  'Drops the columns that a step made; refuses, naming it, where something else depends on one';

CREATE OR REPLACE FUNCTION callctl.put_back_made_columns(p_step integer, p_table regclass)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  c record;
BEGIN
  FOR c IN
    SELECT m.relation, m.name, pg_get_expr(d.adbin, d.adrelid) AS expression
      FROM callctl.made m
      JOIN pg_attribute a ON a.attrelid = p_table AND a.attname = m.name AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE m.step = p_step AND m.kind = 'column'
  LOOP
    EXECUTE format(
      'WITH back AS (
         UPDATE %1$s t SET %2$I = r.%2$I
           FROM callctl.saved_value s, jsonb_populate_record(NULL::%1$s, jsonb_build_object(%2$L, s.value)) AS r
          WHERE s.relation = %3$L AND s.field = %2$L AND s.saved_by = ''down'' AND s.superseded_at IS NULL
            AND t.id = s.row_id AND t.%2$I IS NOT DISTINCT FROM %4$s
         RETURNING s.id, t.%2$I IS NOT DISTINCT FROM r.%2$I AS as_saved)
       DELETE FROM callctl.saved_value s USING back WHERE s.id = back.id AND back.as_saved',
      p_table, c.name, c.relation, coalesce(c.expression, 'NULL'));
    UPDATE callctl.saved_value SET superseded_at = now()
     WHERE relation = c.relation AND field = c.name AND saved_by = 'down' AND superseded_at IS NULL;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.put_back_made_columns(integer, regclass) IS
  'Puts what others had written back into columns that a step has made again';

CREATE OR REPLACE FUNCTION callctl.leave_room(p_step integer, p_table regclass, p_growth integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  t record;
BEGIN
  SELECT c.relname, format('%s.%I', c.relnamespace::regnamespace, c.relname) AS name, c.relkind, pg_relation_size(c.oid) / greatest(c.reltuples, 1) AS width,
         (SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor') AS fillfactor
    INTO t FROM pg_class AS c WHERE c.oid = p_table;
  IF t.relkind <> 'r' OR EXISTS (SELECT FROM callctl.definition WHERE step = p_step AND kind = 'fillfactor') THEN
    RETURN;
  END IF;
  PERFORM callctl.write_definition(p_step, t.relname, 'fillfactor', 'fillfactor',
    CASE WHEN t.fillfactor IS NULL THEN format('ALTER TABLE %s RESET (fillfactor)', t.name)
         ELSE format('ALTER TABLE %s SET (fillfactor = %s)', t.name, t.fillfactor) END);
  EXECUTE format('ALTER TABLE %s SET (fillfactor = %s)', t.name,
    least(greatest(round(100 * t.width / (2 * t.width + p_growth)), 10), coalesce(t.fillfactor::integer, 100)));
END
$$;
COMMENT ON FUNCTION callctl.leave_room(integer, regclass, integer) IS
  'Rows written from here on leave room on their page for a later version that is larger by so many bytes, so that it needs no new index entries';

CREATE OR REPLACE FUNCTION callctl.leave_no_more_room(p_step integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  d record;
BEGIN
  FOR d IN SELECT ddl FROM callctl.definition WHERE step = p_step AND kind = 'fillfactor' LOOP
    EXECUTE d.ddl;
  END LOOP;
  DELETE FROM callctl.definition WHERE step = p_step AND kind = 'fillfactor';
END
$$;
COMMENT ON FUNCTION callctl.leave_no_more_room(integer) IS 'The fillfactor as it was before callctl.leave_room()';

CREATE OR REPLACE FUNCTION callctl.make_touch_function(p_step integer, p_schema regnamespace)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF to_regprocedure(format('%s.update_updated_at_column()', p_schema)) IS NOT NULL THEN
    RETURN;
  END IF;
  EXECUTE format(
    'CREATE FUNCTION %s.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS
     $function$ BEGIN NEW.updated_at := now(); RETURN NEW; END $function$', p_schema);
  INSERT INTO callctl.made (step, kind, relation, name)
  VALUES (p_step, 'function', p_schema::text, 'update_updated_at_column') ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION callctl.make_touch_function(integer, regnamespace) IS
  'Creates update_updated_at_column() where the platform has none, and remembers having done so';

CREATE OR REPLACE FUNCTION callctl.drop_made_function(p_step integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  f record;
BEGIN
  FOR f IN
    SELECT m.relation, m.name, to_regprocedure(m.relation || '.' || quote_ident(m.name) || '()') AS function
      FROM callctl.made m WHERE m.step = p_step AND m.kind = 'function'
  LOOP
    IF EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_proc'::regclass AND refobjid = f.function) THEN
      RAISE WARNING 'function % stays: something else uses it now', f.function;
      CONTINUE;  -- and it remains remembered as made
    END IF;
    IF f.function IS NOT NULL THEN  -- it may have been dropped already
      EXECUTE format('DROP FUNCTION %s', f.function);
    END IF;
    DELETE FROM callctl.made WHERE step = p_step AND kind = 'function' AND name = f.name;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.drop_made_function(integer) IS
  'Drops the function that a step made, unless something else has come to use it';

CREATE OR REPLACE FUNCTION callctl.keys_that_refuse(p_table regclass)
RETURNS TABLE (relation name, name name, definition text, detail jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT c.relname, k.conname, pg_get_constraintdef(k.oid),
         jsonb_build_object('validated', k.convalidated, 'comment', obj_description(k.oid, 'pg_constraint'))
    FROM pg_constraint AS k
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN pg_class AS r ON r.oid = k.confrelid
   WHERE k.conrelid = p_table AND k.contype = 'f' AND k.confupdtype = 'a'
     AND r.relname NOT IN ('integration_accounts', 'calls', 'call_transcripts')
   ORDER BY k.conname
$$;
COMMENT ON FUNCTION callctl.keys_that_refuse(regclass) IS
  'The foreign keys of a table that refuse to let a row of the platform''s change its primary key';

CREATE OR REPLACE FUNCTION callctl.remember_keys(p_step integer, p_table regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM callctl.write_definition(p_step, k.relation, 'foreign key', k.name, k.definition, k.detail)
     FROM callctl.keys_that_refuse(p_table) AS k
    -- Written down once: in a second run some follow already.
    WHERE NOT EXISTS (SELECT FROM callctl.definition AS d WHERE d.step = p_step AND d.kind = 'foreign key' AND d.name = k.name);
END
$$;
COMMENT ON FUNCTION callctl.remember_keys(integer, regclass) IS
  'Writes down the foreign keys by which a table that is going to be archived refers to the platform''s tables';

CREATE OR REPLACE FUNCTION callctl.key_statements(p_table regclass, p_name name, p_definition text, p_detail jsonb)
RETURNS TABLE (ddl text) LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I, ADD CONSTRAINT %I %s NOT VALID', p_table, p_name, p_name,
                regexp_replace(p_definition, ' NOT VALID$', ''))
  UNION ALL
  SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', p_name, p_table, p_detail ->> 'comment')
   WHERE p_detail ->> 'comment' IS NOT NULL
$$;
COMMENT ON FUNCTION callctl.key_statements(regclass, name, text, jsonb) IS
  'The statements that make a foreign key again, by this definition';

CREATE OR REPLACE FUNCTION callctl.let_keys_follow(p_table regclass)
RETURNS TABLE (ddl text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.ddl FROM callctl.keys_that_refuse(p_table) AS k,
    LATERAL callctl.key_statements(p_table, k.name,
      regexp_replace(k.definition, '(REFERENCES [^(]+\([^)]*\)( MATCH FULL)?)', '\1 ON UPDATE CASCADE'), k.detail) AS s
$$;
COMMENT ON FUNCTION callctl.let_keys_follow(regclass) IS
  'The statements that make a table''s foreign keys follow changed primary keys while it is archived';

CREATE OR REPLACE FUNCTION callctl.let_keys_refuse(p_step integer, p_table regclass)
RETURNS TABLE (ddl text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.ddl FROM callctl.definition AS d, LATERAL callctl.key_statements(p_table, d.name, d.ddl, d.detail) AS s
   WHERE d.step = p_step AND d.kind = 'foreign key' AND p_table IS NOT NULL
   ORDER BY d.ordinal
$$;
COMMENT ON FUNCTION callctl.let_keys_refuse(integer, regclass) IS
  'The statements that make an archived table''s foreign keys again as callctl.remember_keys() has written them down';

CREATE OR REPLACE FUNCTION callctl.key_validations(p_step integer, p_table regclass)
RETURNS TABLE (ddl text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT format('ALTER TABLE %s VALIDATE CONSTRAINT %I', p_table, d.name)
    FROM callctl.definition AS d
    JOIN pg_constraint AS k ON k.conrelid = p_table AND k.conname = d.name AND NOT k.convalidated
   WHERE d.step = p_step AND d.kind = 'foreign key' AND (d.detail ->> 'validated')::boolean
   ORDER BY d.ordinal
$$;
COMMENT ON FUNCTION callctl.key_validations(integer, regclass) IS
  'The statements that validate the foreign keys that were valid when they were written down';

CREATE OR REPLACE FUNCTION callctl.remember_trigger(p_step integer, p_table regclass, p_trigger name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
BEGIN
  DELETE FROM callctl.definition WHERE step = p_step AND kind = 'trigger';
  SELECT g.oid, g.tgenabled, c.relname, format('%s.%I', c.relnamespace::regnamespace, c.relname) AS name
    INTO t FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid WHERE g.tgrelid = p_table AND g.tgname = p_trigger;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  PERFORM callctl.write_definition(p_step, t.relname, 'trigger', p_trigger, pg_get_triggerdef(t.oid));
  IF t.tgenabled <> 'O' THEN
    PERFORM callctl.write_definition(p_step, t.relname, 'trigger', p_trigger, format('ALTER TABLE %s %s TRIGGER %I', t.name,
      CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, p_trigger));
  END IF;
  IF obj_description(t.oid, 'pg_trigger') IS NOT NULL THEN
    PERFORM callctl.write_definition(p_step, t.relname, 'trigger', p_trigger,
      format('COMMENT ON TRIGGER %I ON %s IS %L', p_trigger, t.name, obj_description(t.oid, 'pg_trigger')));
  END IF;
  PERFORM callctl.write_definition(p_step, t.relname, 'trigger', p_trigger,
      format('ALTER TRIGGER %I ON %s DEPENDS ON EXTENSION %I', p_trigger, t.name, e.extname))
     FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x';
END
$$;
COMMENT ON FUNCTION callctl.remember_trigger(integer, regclass, name) IS
  'Writes down a trigger of a table that is going to be archived, which goes so that the function it runs can go';

CREATE OR REPLACE FUNCTION callctl.remember_newest(p_step integer, p_table regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET "TimeZone" = 'UTC' AS $$
DECLARE
  newest timestamp;
BEGIN
  EXECUTE format('SELECT max((to_jsonb(t) ->> ''created_at'')::timestamp) FROM %s AS t', p_table) INTO newest;
  DELETE FROM callctl.definition WHERE step = p_step AND kind = 'newest row';
  PERFORM callctl.write_definition(p_step, c.relname, 'newest row', 'created_at', '', jsonb_build_object('newest', newest))
     FROM pg_class AS c WHERE c.oid = p_table;
END
$$;
COMMENT ON FUNCTION callctl.remember_newest(integer, regclass) IS
  'Writes down the latest created_at of a table''s rows (in UTC, if the column has a time zone), by which a later row is known even where the server''s clock was set back';

CREATE OR REPLACE FUNCTION callctl.assert_not_archived(p_step integer, p_table name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF to_regclass(format('callctl.%I', p_table)) IS NOT NULL THEN
    RAISE EXCEPTION 'callctl.% is archived, with its rows: step % brings it back by return.sql, in place of up.sql', p_table, p_step;
  END IF;
END
$$;
COMMENT ON FUNCTION callctl.assert_not_archived(integer, name) IS
  'Raises an exception where a table that a step would make is archived';

CREATE OR REPLACE FUNCTION callctl.drop_unfinished_table(p_step integer, p_table regclass)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  used boolean;
BEGIN
  IF p_table IS NULL THEN
    RETURN;
  END IF;
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', p_table);
  EXECUTE format('SELECT EXISTS (SELECT FROM %s)', p_table) INTO used;
  IF used THEN
    RAISE EXCEPTION '% holds rows that were written before step % was finished: it cannot be dropped', p_table, p_step;
  END IF;
  EXECUTE format('DROP TABLE %s', p_table);
END
$$;
COMMENT ON FUNCTION callctl.drop_unfinished_table(integer, regclass) IS
  'Drops the table of a step that stopped half way up; refuses where a row was written into it';

CREATE OR REPLACE FUNCTION callctl.protect_new_table(p_table regclass)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  wanted text := coalesce(nullif(current_setting('callctl.new_tables_row_security', true), ''), 'inherit');
BEGIN
  IF wanted = 'on' OR wanted = 'inherit' AND EXISTS (
       SELECT FROM pg_class AS made
       JOIN pg_class AS c ON c.relnamespace = made.relnamespace AND c.relname IN ('chatbots', 'companies') AND c.relrowsecurity
       WHERE made.oid = p_table) THEN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', p_table);
  END IF;
END
$$;
COMMENT ON FUNCTION callctl.protect_new_table(regclass) IS
  'Enables row-level security on a table just made where chatbots or companies has it, or as callctl.new_tables_row_security says: inherit, on or off';

CREATE OR REPLACE FUNCTION callctl.add_missing_constraint(p_table regclass, p_name name, p_definition text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = p_table AND conname = p_name) THEN
    EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', p_table, p_name, p_definition);
  END IF;
END
$$;
COMMENT ON FUNCTION callctl.add_missing_constraint(regclass, name, text) IS
  'Adds a constraint unless the table has one of that name: a table back from the archive has it already';

CREATE OR REPLACE FUNCTION callctl.rows_referring_to(p_table regclass, p_row uuid)
RETURNS TABLE (constraint_name name, referring_table text, referring_rows bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  k record;
BEGIN
  FOR k IN
    SELECT con.conname, con.conrelid::regclass AS child, a.attname AS child_column, r.attname AS parent_column
      FROM pg_constraint con
      JOIN pg_attribute a ON a.attrelid = con.conrelid AND a.attnum = con.conkey[1]
      JOIN pg_attribute r ON r.attrelid = con.confrelid AND r.attnum = con.confkey[1]
     WHERE con.contype = 'f' AND con.confrelid = p_table AND con.conparentid = 0 AND cardinality(con.conkey) = 1
  LOOP
    EXECUTE format('SELECT count(*) FROM %s c JOIN %s p ON c.%I = p.%I WHERE p.id = $1',
                   k.child, p_table, k.child_column, k.parent_column)
       INTO referring_rows USING p_row;
    IF referring_rows > 0 THEN
      constraint_name := k.conname;
      referring_table := k.child::text;
      RETURN NEXT;
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.rows_referring_to(regclass, uuid) IS
  'Which foreign keys still point at a row, and how many rows do';

CREATE OR REPLACE FUNCTION callctl.row_as_stored(p_table regclass, p_row uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET "TimeZone" = 'UTC' AS $$
DECLARE
  contents jsonb;
BEGIN
  EXECUTE format('SELECT to_jsonb(t) FROM %s AS t WHERE t.id = $1', p_table) INTO contents USING p_row;
  RETURN contents;
END
$$;
COMMENT ON FUNCTION callctl.row_as_stored(regclass, uuid) IS 'A row, every column, times in UTC; NULL where it does not exist';

CREATE OR REPLACE FUNCTION callctl.is_as_left(p_table regclass, p_row uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  -- A column that was added or dropped since is no write of the row.
  SELECT coalesce(bool_and(stored.value = written.value), false)
    FROM callctl.withheld_model AS w,
         jsonb_each(w.contents) AS written,
         jsonb_each(callctl.row_as_stored(p_table, p_row)) AS stored
   WHERE w.model_id = p_row AND stored.key = written.key
$$;
COMMENT ON FUNCTION callctl.is_as_left(regclass, uuid) IS
  'Whether a model that callctl made inactive is stored, in every column, as callctl left it; false where it made none inactive';

CREATE OR REPLACE FUNCTION callctl.active_column(p_table regclass) RETURNS name
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.attname FROM pg_attribute AS a
   WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.atttypid = 'boolean'::regtype
     AND lower(replace(a.attname, '_', '')) = 'isactive'
   ORDER BY a.attname <> 'is_active', a.attnum LIMIT 1
$$;
COMMENT ON FUNCTION callctl.active_column(regclass) IS
  'The boolean column that says whether an application offers a row: is_active, in any spelling; NULL where there is none';

CREATE OR REPLACE FUNCTION callctl.put_away_row(p_table regclass, p_relation text, p_row uuid)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  u record;
  hit integer;
  still_there boolean;
  active name := callctl.active_column(p_table);
  owed jsonb := '{}';
BEGIN
  FOR u IN SELECT * FROM callctl.rows_referring_to(p_table, p_row) LOOP
    RAISE EXCEPTION 'row % of % is still used: % row(s) of % refer to it through %',
      p_row, p_table, u.referring_rows, u.referring_table, u.constraint_name
      USING ERRCODE = 'foreign_key_violation', CONSTRAINT = u.constraint_name;
  END LOOP;
  IF active IS NOT NULL AND callctl.is_as_left(p_table, p_row) THEN
    owed := jsonb_build_object(active, true);  -- it is inactive for as long as the type column waits, and no longer
  END IF;
  EXECUTE format(
    'INSERT INTO callctl.saved_row (relation, row_id, contents)
     SELECT %L, t.id, to_jsonb(t) || $2 FROM %s t WHERE t.id = $1
     ON CONFLICT (relation, row_id) DO UPDATE SET contents = EXCLUDED.contents, saved_at = now(), superseded_at = NULL',
    p_relation, p_table) USING p_row, owed;
  EXECUTE format('DELETE FROM %s WHERE id = $1', p_table) USING p_row;
  GET DIAGNOSTICS hit = ROW_COUNT;
  EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE id = $1)', p_table) INTO still_there USING p_row;
  IF still_there THEN
    RAISE EXCEPTION 'row % of % was not deleted when it was told to be: %', p_row, p_table, callctl.in_the_way(p_table);
  END IF;
  DELETE FROM callctl.withheld_model WHERE model_id = p_row;
  RETURN hit;
END
$$;
COMMENT ON FUNCTION callctl.put_away_row(regclass, text, uuid) IS
  'Saves and deletes one row that callctl inserted; refuses, naming it, where a foreign key still uses it';

CREATE OR REPLACE FUNCTION callctl.put_away_made_rows(p_step integer, p_table regclass)
RETURNS integer LANGUAGE sql AS $$
  SELECT coalesce(sum(callctl.put_away_row(p_table, m.relation, m.name::uuid)), 0)::integer
    FROM callctl.made AS m WHERE m.step = p_step AND m.kind = 'row'
$$;
COMMENT ON FUNCTION callctl.put_away_made_rows(integer, regclass) IS
  'Saves and deletes the rows that a step inserted; refuses, naming it, where a foreign key still uses one';

CREATE OR REPLACE FUNCTION callctl.bring_back_rows(p_table regclass, p_key name)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  s record;
  columns text;
  taken boolean;
  changed boolean;
  returned integer := 0;
BEGIN
  FOR s IN
    SELECT r.* FROM callctl.saved_row r JOIN pg_class c ON c.oid = p_table AND c.relname = r.relation
     WHERE r.superseded_at IS NULL ORDER BY r.saved_at, r.row_id
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE id = $1 OR %I::text = $2)', p_table, p_key)
       INTO taken USING s.row_id, s.contents ->> p_key;
    IF taken THEN
      UPDATE callctl.saved_row SET superseded_at = now() WHERE relation = s.relation AND row_id = s.row_id;
      DELETE FROM callctl.made WHERE kind = 'row' AND relation = s.relation AND name = s.row_id::text;
      CONTINUE;
    END IF;
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
      FROM pg_attribute a
     WHERE a.attrelid = p_table AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
       AND s.contents ? a.attname;
    EXECUTE format('INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $1)',
                   p_table, columns) USING s.contents;
    EXECUTE format('SELECT (SELECT to_jsonb(r) FROM (SELECT %2$s FROM %1$s WHERE id = $1) AS r)
                       IS DISTINCT FROM (SELECT to_jsonb(r) FROM (SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $2)) AS r)',
                   p_table, columns) INTO changed USING s.row_id, s.contents;
    IF changed THEN
      RAISE EXCEPTION 'row % of % is not stored as it was put away: %', s.row_id, p_table, callctl.in_the_way(p_table);
    END IF;
    DELETE FROM callctl.saved_row WHERE relation = s.relation AND row_id = s.row_id;
    returned := returned + 1;
  END LOOP;
  RETURN returned;
END
$$;
COMMENT ON FUNCTION callctl.bring_back_rows(regclass, name) IS
  'Inserts saved rows again as they were; one whose key was taken meanwhile is marked superseded';

CREATE OR REPLACE FUNCTION callctl.withhold_model(p_table regclass, p_row uuid)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  active name := callctl.active_column(p_table);
  is_active boolean;
BEGIN
  IF active IS NULL THEN
    PERFORM callctl.put_away_row(p_table, 'ai_models', p_row);
    RETURN;
  END IF;
  EXECUTE format('SELECT %I FROM %s WHERE id = $1', active, p_table) INTO is_active USING p_row;
  IF is_active IS NOT TRUE THEN
    RETURN;  -- no application offers it anyway
  END IF;
  EXECUTE format('UPDATE %s SET %I = false WHERE id = $1', p_table, active) USING p_row;
  EXECUTE format('SELECT %I FROM %s WHERE id = $1', active, p_table) INTO is_active USING p_row;
  IF is_active IS DISTINCT FROM false THEN
    RAISE EXCEPTION 'row % of % was not made inactive when it was told to be: %', p_row, p_table, callctl.in_the_way(p_table);
  END IF;
  INSERT INTO callctl.withheld_model AS w (model_id, contents) VALUES (p_row, callctl.row_as_stored(p_table, p_row))
  ON CONFLICT (model_id) DO UPDATE SET contents = EXCLUDED.contents, withheld_at = now();
END
$$;
COMMENT ON FUNCTION callctl.withhold_model(regclass, uuid) IS
  'Keeps a model from being offered while a type column waits to be dropped: makes it inactive, or where the table cannot say so, moves it to callctl.saved_row';

CREATE OR REPLACE FUNCTION callctl.release_models(p_table regclass, p_key name)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  w record;
  active name := callctl.active_column(p_table);
  key text;
  is_active boolean;
  released integer := 0;
BEGIN
  FOR w IN SELECT model_id FROM callctl.withheld_model ORDER BY withheld_at, model_id LOOP
    -- Locked first, so that it is compared as it is when it is written.
    EXECUTE format('SELECT %I::text FROM %s WHERE id = $1 FOR NO KEY UPDATE', p_key, p_table) INTO key USING w.model_id;
    IF key IS NOT NULL AND active IS NOT NULL THEN
      IF callctl.is_as_left(p_table, w.model_id) THEN
        EXECUTE format('UPDATE %s SET %I = true WHERE id = $1', p_table, active) USING w.model_id;
        EXECUTE format('SELECT %I FROM %s WHERE id = $1', active, p_table) INTO is_active USING w.model_id;
        IF is_active IS NOT TRUE THEN
          RAISE EXCEPTION 'row % of % was not made active when it was told to be: %', w.model_id, p_table, callctl.in_the_way(p_table);
        END IF;
        released := released + 1;
      ELSE
        EXECUTE format('SELECT %I FROM %s WHERE id = $1', active, p_table) INTO is_active USING w.model_id;
        IF is_active IS NOT TRUE THEN
          RAISE WARNING 'model % stays inactive: it was changed after callctl inserted it', key;
        END IF;
      END IF;
    END IF;
    DELETE FROM callctl.withheld_model WHERE model_id = w.model_id;
  END LOOP;
  RETURN released;
END
$$;
COMMENT ON FUNCTION callctl.release_models(regclass, name) IS
  'Makes the models active that callctl.withhold_model() made inactive and that are stored as it left them; the others stay as they are';

-- ---------------------------------------------------------------------------------------------------
-- Settings: one path is set or restored, every other byte stays. Without a SET, so that PostgreSQL inlines them: called for
-- each row, they cost more than the row's own update.
-- ---------------------------------------------------------------------------------------------------

-- These two are asked for every company: the planner takes such a function apart and runs its body in the statement, unless
-- something in it is less than IMMUTABLE, as jsonb_build_object() is.
CREATE OR REPLACE FUNCTION callctl.with_call_flag(p_settings jsonb, p_flag jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN coalesce(p_settings -> 'features', 'null') = 'null'
              THEN jsonb_set(coalesce(p_settings, '{}'), '{features}', jsonb_set('{}', '{callEnabled}', p_flag))
              ELSE jsonb_set(p_settings, '{features,callEnabled}', p_flag) END
$$;
COMMENT ON FUNCTION callctl.with_call_flag(jsonb, jsonb) IS
  'Company settings with features.callEnabled set, containers made where they are missing';

CREATE OR REPLACE FUNCTION callctl.call_flag_before(p_settings jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_settings IS NULL THEN '{"settings": "absent"}'::jsonb
              WHEN p_settings -> 'features' IS NULL THEN '{"features": "absent"}'
              WHEN p_settings -> 'features' = 'null' THEN '{"features": null}'
              WHEN p_settings #> '{features,callEnabled}' IS NULL THEN '{"callEnabled": "absent"}'
              ELSE jsonb_set('{}', '{callEnabled}', p_settings #> '{features,callEnabled}') END
$$;
COMMENT ON FUNCTION callctl.call_flag_before(jsonb) IS
  'How features.callEnabled stood in company settings: its value, or which container was missing';

CREATE OR REPLACE FUNCTION callctl.without_call_flag(p_settings jsonb, p_before jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN jsonb_typeof(p_before -> 'callEnabled') = 'boolean' THEN callctl.with_call_flag(p_settings, p_before -> 'callEnabled')
    WHEN p_before ? 'settings' AND bare = '{"features": {}}' THEN NULL
    WHEN p_before ?| ARRAY['settings', 'features'] AND bare -> 'features' = '{}' AND p_before -> 'features' = 'null'
      THEN jsonb_set(bare, '{features}', 'null')
    WHEN p_before ?| ARRAY['settings', 'features'] AND bare -> 'features' = '{}' THEN bare - 'features'
    ELSE bare END
  FROM (SELECT p_settings #- '{features,callEnabled}' AS bare) AS without
$$;
COMMENT ON FUNCTION callctl.without_call_flag(jsonb, jsonb) IS
  'Company settings with features.callEnabled as it stood before, empty containers that callctl made taken away again';

CREATE OR REPLACE FUNCTION callctl.default_call_settings() RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT '{
    "voiceId": "alloy",
    "voiceProvider": "openai",
    "voiceSettings": {
      "pitch": 0,
      "speed": 1.0,
      "stability": 0.5
    },
    "callGreeting": "Hi, I''m your AI assistant. How can I help you today?",
    "endCallPhrase": "goodbye",
    "silenceTimeout": 180,
    "maxCallDuration": 600,
    "recordingEnabled": false,
    "transcriptionEnabled": true,
    "interruptionEnabled": true,
    "callButtonText": "Call Us",
    "callButtonColor": "#22C55E",
    "callButtonPosition": "bottom-right",
    "vadThreshold": 0.5,
    "echoCancellation": true,
    "noiseSuppression": true
  }'::jsonb
$$;
COMMENT ON FUNCTION callctl.default_call_settings() IS
  'chatbots.settings.call as a new call-enabled chatbot gets it (specification, L2531-2555)';

CREATE OR REPLACE FUNCTION callctl.without_call_settings(p_settings jsonb, p_before jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN p_before ? 'call' THEN jsonb_set(coalesce(p_settings, '{}'), '{call}', p_before -> 'call')
    WHEN p_before ? 'settings' AND p_settings - 'call' = '{}' THEN NULL
    ELSE p_settings - 'call' END
$$;
COMMENT ON FUNCTION callctl.without_call_settings(jsonb, jsonb) IS
  'Chatbot settings with call as it stood before: its value, or gone';
