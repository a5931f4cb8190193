-- callctl's own schema: what it did, how far it came, and everything it must be able to put back.
-- Safe to run again. psql -f runs it as it is, before the steps.

CREATE SCHEMA IF NOT EXISTS callctl;
COMMENT ON SCHEMA callctl IS 'callctl: history of the voice call migration, and what it saved so that it can go back';

CREATE TABLE IF NOT EXISTS callctl.installation (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  platform_schema text NOT NULL,
  created_at timestamp with time zone NOT NULL DEFAULT now()
);
COMMENT ON TABLE callctl.installation IS 'One row: the schema of the platform that this database''s migration belongs to';
COMMENT ON COLUMN callctl.installation.only_one IS 'Always true: there is one row';
COMMENT ON COLUMN callctl.installation.platform_schema IS 'The schema that holds chatbots, companies and the rest';
COMMENT ON COLUMN callctl.installation.created_at IS 'When callctl first wrote here';

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
COMMENT ON COLUMN callctl.definition.kind IS 'type, column, default, index, constraint, validate, statistics, comment, grant, setting or fillfactor';
COMMENT ON COLUMN callctl.definition.name IS 'The object''s name in this database';
COMMENT ON COLUMN callctl.definition.ddl IS 'One statement, as it will run';
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
  relation text NOT NULL,
  field text NOT NULL,
  saved_by text NOT NULL CHECK (saved_by IN ('up', 'down')),
  row_id uuid NOT NULL,
  value jsonb,
  left_there jsonb,
  saved_at timestamp with time zone NOT NULL DEFAULT now(),
  superseded_at timestamp with time zone
);
-- The row comes first: a uuid decides a comparison at once, where the texts before it would be the same for most.
CREATE UNIQUE INDEX IF NOT EXISTS saved_value_one_live ON callctl.saved_value (row_id, field, relation, saved_by)
  WHERE superseded_at IS NULL;
COMMENT ON INDEX callctl.saved_value_one_live IS 'One value waits to be put back; superseded ones beside it are only listed';
COMMENT ON TABLE callctl.saved_value IS 'Values that a step removed or overwrote; the opposite direction puts them back';
COMMENT ON COLUMN callctl.saved_value.id IS 'Order in which they were saved; the key of the batches that put them back';
COMMENT ON COLUMN callctl.saved_value.relation IS 'The table, by its documented name';
COMMENT ON COLUMN callctl.saved_value.field IS 'The column or settings path: chatbot_type, capabilities, avatar_url, settings.call, and so on';
COMMENT ON COLUMN callctl.saved_value.saved_by IS 'The direction that took the value away; the other one puts it back';
COMMENT ON COLUMN callctl.saved_value.row_id IS 'Primary key of the row';
COMMENT ON COLUMN callctl.saved_value.value IS 'The value that was there; NULL for SQL NULL';
COMMENT ON COLUMN callctl.saved_value.left_there IS 'What callctl left in its place; the value goes back only where this still stands';
COMMENT ON COLUMN callctl.saved_value.saved_at IS 'When it was saved';
COMMENT ON COLUMN callctl.saved_value.superseded_at IS 'When a newer write was found in its place; listed until purge, never put back';

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
CREATE UNIQUE INDEX IF NOT EXISTS rotation_one_open ON callctl.rotation (kind) WHERE finished_at IS NULL;
COMMENT ON INDEX callctl.rotation_one_open IS 'One rotation of a kind is under way at a time; several callctl may work at it';
COMMENT ON TABLE callctl.rotation IS 'The ledger: a row for each rotation, who, when, from which keys to which; never a value';
COMMENT ON COLUMN callctl.rotation.id IS 'Order in which they were begun';
COMMENT ON COLUMN callctl.rotation.kind IS 'credentials; webhook_secrets: new ones; webhook_secrets_back: those that were kept, put back';
COMMENT ON COLUMN callctl.rotation.to_key IS 'Id of the primary key, under which it encrypts';
COMMENT ON COLUMN callctl.rotation.binding IS
  'bind: to values bound to their row and field (version 2); unbind: to version 1; keep: as each value was';
COMMENT ON COLUMN callctl.rotation.from_keys IS 'Ids of the keys that values were found under and brought away from, plaintext among them';
COMMENT ON COLUMN callctl.rotation.fields IS
  'Which fields it goes through, as a digest: only a run with the same may join. Of webhook secrets: which accounts';
COMMENT ON COLUMN callctl.rotation.started_at IS 'When it was begun';
COMMENT ON COLUMN callctl.rotation.finished_at IS 'When its last range was done; NULL while it is under way';
COMMENT ON COLUMN callctl.rotation.outcome IS 'done, or given up for another one that was begun instead';
COMMENT ON COLUMN callctl.rotation.database_role IS 'The role that was connected';
COMMENT ON COLUMN callctl.rotation.client IS 'User and host that began it';
COMMENT ON COLUMN callctl.rotation.callctl_version IS 'Version of callctl that began it';
COMMENT ON COLUMN callctl.rotation.counts IS
  'Rows read and written; values by account type, field and what they were under before; accounts of another shape. Of webhook secrets: accounts done, the last of them';
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
CREATE INDEX IF NOT EXISTS rotation_failure_rotation ON callctl.rotation_failure (rotation);
COMMENT ON INDEX callctl.rotation_failure_rotation IS 'What one rotation left as it was';
COMMENT ON TABLE callctl.rotation_failure IS 'Values that a rotation left as they were, by place and reason; never a value. At most 1,000 of a range';
COMMENT ON COLUMN callctl.rotation_failure.id IS 'Order in which they were found';
COMMENT ON COLUMN callctl.rotation_failure.rotation IS 'The rotation that left it';
COMMENT ON COLUMN callctl.rotation_failure.relation IS 'The table, or what callctl saved of it';
COMMENT ON COLUMN callctl.rotation_failure.row_id IS 'Primary key of the row';
COMMENT ON COLUMN callctl.rotation_failure.path IS 'The field';
COMMENT ON COLUMN callctl.rotation_failure.reason IS 'unknown-key, wrong-key, tampered, moved, malformed, not-text or not-an-object';
COMMENT ON COLUMN callctl.rotation_failure.found_at IS 'When it was found';

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
CREATE INDEX IF NOT EXISTS kept_webhook_secret_account ON callctl.kept_webhook_secret (account_id);
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

-- ---------------------------------------------------------------------------------------------------
-- Definitions: what a column is, written down as the statements that make it again
-- ---------------------------------------------------------------------------------------------------

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

CREATE OR REPLACE FUNCTION callctl.as_written(p_definition text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT regexp_replace(p_definition,
    '\(ARRAY\[((?:''(?:[^'']|'''')*''::character varying(?:, )?)+)\]\)::text\[\]', 'ARRAY[\1]', 'g')
$$;
COMMENT ON FUNCTION callctl.as_written(text) IS
  'A definition in a form that PostgreSQL prints the same way again: it prints varchar IN (...) in one that it does not';

CREATE OR REPLACE FUNCTION callctl.remember_column_type(p_step integer, p_table regclass, p_column name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  a record;
BEGIN
  SELECT att.*, format_type(att.atttypid, att.atttypmod) AS type, pg_get_expr(d.adbin, d.adrelid) AS expression,
         t.typname, t.typstorage, c.relname,
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
    jsonb_build_object('type', a.type, 'length',
      CASE WHEN a.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 THEN a.atttypmod - 4 END));
  -- ALTER TYPE resets how the column is stored.
  IF a.attstorage <> a.typstorage THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'column type', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', p_table, p_column, callctl.storage_name(a.attstorage)));
  END IF;
END
$$;
COMMENT ON FUNCTION callctl.remember_column_type(integer, regclass, name) IS
  'Writes down a column''s type and default before a step changes the type';

CREATE OR REPLACE FUNCTION callctl.remembered_length(p_step integer) RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT (detail ->> 'length')::integer FROM callctl.definition WHERE step = p_step AND kind = 'column type'
$$;
COMMENT ON FUNCTION callctl.remembered_length(integer) IS
  'Length limit, in characters, of the type that a step changed; NULL where it had none';

CREATE OR REPLACE FUNCTION callctl.remember_column(p_step integer, p_table regclass, p_column name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  a record;
  o record;
BEGIN
  SELECT att.attnum, att.attnotnull, att.attstorage, att.attstattarget, att.attoptions, att.attacl, att.atttypid,
         format_type(att.atttypid, att.atttypmod) AS type, t.typtype, t.typstorage, c.relname, c.relowner,
         pg_get_expr(d.adbin, d.adrelid) AS expression,
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
    format('ALTER TABLE %s ADD COLUMN %I %s%s DEFAULT ''chat''%s', p_table, p_column, a.type, a.collation,
           CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END),
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
  IF coalesce(a.attstattarget, -1) >= 0 THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'setting', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', p_table, p_column, a.attstattarget));
  END IF;
  IF a.attoptions IS NOT NULL THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'setting', p_column,
      format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', p_table, p_column, array_to_string(a.attoptions, ', ')));
  END IF;

  FOR o IN
    SELECT con.conname, con.oid, con.contype, con.convalidated, callctl.as_written(pg_get_constraintdef(con.oid)) AS definition,
           obj_description(con.oid, 'pg_constraint') AS remark
      FROM pg_constraint con
     WHERE con.conrelid = p_table AND con.contype IN ('c', 'u', 'x', 'p', 'f')
       AND EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_constraint'::regclass AND d.objid = con.oid
                      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table AND d.refobjsubid = a.attnum)
     ORDER BY con.conname
  LOOP
    -- A CHECK returns unvalidated and is validated after, so that no scan happens under an exclusive lock.
    PERFORM callctl.write_definition(p_step, a.relname, 'constraint', o.conname,
      format('ALTER TABLE %s ADD CONSTRAINT %I %s%s', p_table, o.conname, o.definition,
             CASE WHEN o.contype = 'c' AND o.convalidated THEN ' NOT VALID' ELSE '' END));
    IF o.contype = 'c' AND o.convalidated THEN
      PERFORM callctl.write_definition(p_step, a.relname, 'validate', o.conname,
        format('ALTER TABLE %s VALIDATE CONSTRAINT %I', p_table, o.conname));
    END IF;
    IF o.remark IS NOT NULL THEN
      PERFORM callctl.write_definition(p_step, a.relname, 'comment', o.conname,
        format('COMMENT ON CONSTRAINT %I ON %s IS %L', o.conname, p_table, o.remark));
    END IF;
  END LOOP;

  FOR o IN
    SELECT i.indexrelid::regclass AS index, c.relname, i.indisclustered, i.indisreplident,
           callctl.as_written(pg_get_indexdef(i.indexrelid)) AS definition, obj_description(i.indexrelid, 'pg_class') AS remark,
           ts.spcname
      FROM pg_index i
      JOIN pg_class c ON c.oid = i.indexrelid
      LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace
     WHERE i.indrelid = p_table
       AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('u', 'x', 'p'))
       AND EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table AND d.refobjsubid = a.attnum)
     ORDER BY c.relname
  LOOP
    PERFORM callctl.write_definition(p_step, a.relname, 'index', o.relname,
      regexp_replace(o.definition, '^CREATE (UNIQUE )?INDEX ', 'CREATE \1INDEX CONCURRENTLY '));
    IF o.spcname IS NOT NULL THEN
      PERFORM callctl.write_definition(p_step, a.relname, 'after index', o.relname,
        format('ALTER INDEX %s SET TABLESPACE %I', o.index, o.spcname));
    END IF;
    IF o.indisclustered THEN
      PERFORM callctl.write_definition(p_step, a.relname, 'after index', o.relname,
        format('ALTER TABLE %s CLUSTER ON %I', p_table, o.relname));
    END IF;
    IF o.indisreplident THEN
      PERFORM callctl.write_definition(p_step, a.relname, 'after index', o.relname,
        format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', p_table, o.relname));
    END IF;
    IF o.remark IS NOT NULL THEN
      PERFORM callctl.write_definition(p_step, a.relname, 'after index', o.relname,
        format('COMMENT ON INDEX %s IS %L', o.index, o.remark));
    END IF;
  END LOOP;

  FOR o IN
    SELECT s.stxname, n.nspname, pg_get_statisticsobjdef(s.oid) AS definition,
           obj_description(s.oid, 'pg_statistic_ext') AS remark
      FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
     WHERE s.stxrelid = p_table
       AND EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_statistic_ext'::regclass AND d.objid = s.oid
                      AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p_table AND d.refobjsubid = a.attnum)
     ORDER BY s.stxname
  LOOP
    PERFORM callctl.write_definition(p_step, a.relname, 'statistics', o.stxname, o.definition);
    IF o.remark IS NOT NULL THEN
      PERFORM callctl.write_definition(p_step, a.relname, 'comment', o.stxname,
        format('COMMENT ON STATISTICS %I.%I IS %L', o.nspname, o.stxname, o.remark));
    END IF;
  END LOOP;

  IF col_description(p_table, a.attnum) IS NOT NULL THEN
    PERFORM callctl.write_definition(p_step, a.relname, 'comment', p_column,
      format('COMMENT ON COLUMN %s.%I IS %L', p_table, p_column, col_description(p_table, a.attnum)));
  END IF;

  FOR o IN
    SELECT x.privilege_type, x.is_grantable,
           CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS grantee
      FROM aclexplode(a.attacl) x
     ORDER BY 3, 1
  LOOP
    PERFORM callctl.write_definition(p_step, a.relname, 'grant', p_column,
      format('GRANT %s (%I) ON %s TO %s%s', o.privilege_type, p_column, p_table, o.grantee,
             CASE WHEN o.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END));
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.remember_column(integer, regclass, name) IS
  'Writes down a column and everything that goes with it when it is dropped: indexes, constraints, statistics objects, comments, grants';

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
    format('ALTER TYPE %s OWNER TO %I', t.name, t.owner), jsonb_build_object('type', t.name));
  IF t.remark IS NOT NULL THEN
    PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
      format('COMMENT ON TYPE %s IS %L', t.name, t.remark), jsonb_build_object('type', t.name));
  END IF;
  IF t.typacl IS NOT NULL THEN
    PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
      format('REVOKE ALL ON TYPE %s FROM PUBLIC', t.name), jsonb_build_object('type', t.name));
    FOR g IN
      SELECT x.privilege_type, x.is_grantable,
             CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS grantee
        FROM aclexplode(t.typacl) x ORDER BY 3, 1
    LOOP
      PERFORM callctl.write_definition(p_step, p_relation, 'kept type', t.typname,
        format('GRANT %s ON TYPE %s TO %s%s', g.privilege_type, t.name, g.grantee,
               CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), jsonb_build_object('type', t.name));
    END LOOP;
  END IF;
END
$$;
COMMENT ON FUNCTION callctl.remember_enum(integer, name, oid) IS
  'Writes down an enum type that a dropped column used: labels in order, owner, comment, grants';

CREATE OR REPLACE FUNCTION callctl.drop_unused_types() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
-- Both forms of one truth: the type column and the capability flags
-- ---------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION callctl.make_sync_function(p_table regclass, p_type name, p_chat name, p_call name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  relation name := (SELECT relname FROM pg_class WHERE oid = p_table);
BEGIN
  -- The names are written into the body: looked up for each row instead, they cost more than the row's own update.
  EXECUTE format($make$
CREATE OR REPLACE FUNCTION callctl.%1$I() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  kind text := NEW.%3$I;
  chat boolean := NEW.%4$I;
  call boolean := NEW.%5$I;
  old_kind text;
  old_chat boolean;
  old_call boolean;
  flags_win boolean;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    old_kind := OLD.%3$I;
    old_chat := OLD.%4$I;
    old_call := OLD.%5$I;
    flags_win := chat IS DISTINCT FROM old_chat OR call IS DISTINCT FROM old_call;
  ELSE
    -- Flags that differ from their defaults were written by code that knows them.
    flags_win := NOT chat OR call;
    IF kind IS NULL AND (SELECT attnotnull FROM pg_attribute WHERE attrelid = TG_RELID AND attname = %3$L) THEN
      -- Code that knows only the flags, and a type column without a default that must be filled all the same.
      kind := CASE WHEN call AND NOT chat THEN 'call' ELSE 'chat' END;
      NEW.%3$I := kind;
    END IF;
  END IF;

  IF coalesce(kind = 'call', false) <> (call AND NOT chat) THEN
    IF TG_OP = 'UPDATE' AND kind IS NOT DISTINCT FROM old_kind AND NOT flags_win THEN
      -- A row that is saved whole while one form is still being filled from the other: nothing was said, and the batch
      -- that is on its way knows which form is the older.
      RETURN NEW;
    ELSIF flags_win THEN
      kind := CASE WHEN call AND NOT chat THEN 'call' ELSE 'chat' END;
      NEW.%3$I := kind;
    ELSE
      chat := coalesce(kind <> 'call', true);
      call := coalesce(kind = 'call', false);
      NEW.%4$I := chat;
      NEW.%5$I := call;
    END IF;
  END IF;

  -- What one form cannot say of the other is kept beside it, so that removing either form loses nothing. Types are kept
  -- as the column holds them (char(n) is padded), because that is what the steps compare them with.
  IF kind IS NULL OR kind NOT IN ('chat', 'call') THEN
    INSERT INTO callctl.saved_value AS s (relation, field, saved_by, row_id, value, left_there)
    VALUES (%2$L, 'chatbot_type', 'up', NEW.id, to_jsonb(NEW.%3$I), jsonb_build_object('chat', chat, 'call', call))
    ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
    DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now()
     WHERE (s.value, s.left_there) IS DISTINCT FROM (EXCLUDED.value, EXCLUDED.left_there);
  ELSIF TG_OP = 'UPDATE' AND (old_kind IS NULL OR old_kind NOT IN ('chat', 'call')) THEN
    DELETE FROM callctl.saved_value
     WHERE relation = %2$L AND field = 'chatbot_type' AND saved_by = 'up' AND row_id = NEW.id AND superseded_at IS NULL
       AND value IS NOT DISTINCT FROM to_jsonb(OLD.%3$I);
  END IF;
  IF chat IS DISTINCT FROM coalesce(kind <> 'call', true) OR call IS DISTINCT FROM coalesce(kind = 'call', false) THEN
    INSERT INTO callctl.saved_value AS s (relation, field, saved_by, row_id, value, left_there)
    VALUES (%2$L, 'capabilities', 'down', NEW.id, jsonb_build_object('chat', chat, 'call', call), to_jsonb(NEW.%3$I))
    ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
    DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now()
     WHERE (s.value, s.left_there) IS DISTINCT FROM (EXCLUDED.value, EXCLUDED.left_there);
  ELSIF TG_OP = 'UPDATE' AND (old_chat IS DISTINCT FROM coalesce(old_kind <> 'call', true)
                              OR old_call IS DISTINCT FROM coalesce(old_kind = 'call', false))
    -- A flag pair that the batch of step 4 replaces is not one that was saved.
    AND NOT (kind = 'call' AND old_kind = 'call' AND old_chat AND NOT old_call) THEN
    -- What an earlier down saved is not what stood here a moment ago: that one is for step 4 to decide.
    DELETE FROM callctl.saved_value
     WHERE relation = %2$L AND field = 'capabilities' AND saved_by = 'down' AND row_id = NEW.id AND superseded_at IS NULL
       AND value = jsonb_build_object('chat', old_chat, 'call', old_call);
  END IF;
  RETURN NEW;
END
$body$ $make$, 'sync_' || relation, relation, p_type, p_chat, p_call);
  EXECUTE format('COMMENT ON FUNCTION callctl.%I() IS %L', 'sync_' || relation,
    'Keeps the type column and the capability flags in step while both exist: the side that was written wins, the flags on a tie');
END
$$;
COMMENT ON FUNCTION callctl.make_sync_function(regclass, name, name, name) IS
  'Makes the function of the trigger that keeps a table''s type column and capability flags in step';

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
      'INSERT INTO callctl.saved_value (relation, field, saved_by, row_id, value, left_there)
       SELECT %L, %L, ''down'', id, to_jsonb(%I), NULL FROM %s WHERE %I IS DISTINCT FROM %s
       ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
       DO UPDATE SET value = EXCLUDED.value, saved_at = now()',
      c.relation, c.name, c.name, p_table, c.name, coalesce(c.expression, 'NULL'));
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.save_made_columns(integer, regclass) IS
  'Saves what others wrote into columns that a step made, before they go';

CREATE OR REPLACE FUNCTION callctl.drop_made_columns(p_step integer, p_table regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
      'WITH back AS (
         UPDATE %1$s t SET %2$I = r.%2$I
           FROM callctl.saved_value s, jsonb_populate_record(NULL::%1$s, jsonb_build_object(%2$L, s.value)) AS r
          WHERE s.relation = %3$L AND s.field = %2$L AND s.saved_by = ''down'' AND s.superseded_at IS NULL
            AND t.id = s.row_id AND t.%2$I IS NOT DISTINCT FROM %4$s
         RETURNING s.id)
       DELETE FROM callctl.saved_value s USING back WHERE s.id = back.id',
      p_table, c.name, c.relation, coalesce(c.expression, 'NULL'));
    UPDATE callctl.saved_value SET superseded_at = now()
     WHERE relation = c.relation AND field = c.name AND saved_by = 'down' AND superseded_at IS NULL;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.put_back_made_columns(integer, regclass) IS
  'Puts what others had written back into columns that a step has made again';

CREATE OR REPLACE FUNCTION callctl.leave_room(p_step integer, p_table regclass, p_growth integer)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t record;
BEGIN
  SELECT c.relname, c.relkind, pg_relation_size(c.oid) / greatest(c.reltuples, 1) AS width,
         (SELECT option_value FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor') AS fillfactor
    INTO t FROM pg_class AS c WHERE c.oid = p_table;
  IF t.relkind <> 'r' OR EXISTS (SELECT FROM callctl.definition WHERE step = p_step AND kind = 'fillfactor') THEN
    RETURN;
  END IF;
  PERFORM callctl.write_definition(p_step, t.relname, 'fillfactor', 'fillfactor',
    CASE WHEN t.fillfactor IS NULL THEN format('ALTER TABLE %s RESET (fillfactor)', p_table)
         ELSE format('ALTER TABLE %s SET (fillfactor = %s)', p_table, t.fillfactor) END);
  EXECUTE format('ALTER TABLE %s SET (fillfactor = %s)', p_table,
    least(greatest(round(100 * t.width / (2 * t.width + p_growth)), 10), coalesce(t.fillfactor::integer, 100)));
END
$$;
COMMENT ON FUNCTION callctl.leave_room(integer, regclass, integer) IS
  'Rows written from here on leave room on their page for a later version that is larger by so many bytes, so that it needs no new index entries';

CREATE OR REPLACE FUNCTION callctl.leave_no_more_room(p_step integer)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
    EXECUTE format('DROP FUNCTION IF EXISTS %s', f.function);
    DELETE FROM callctl.made WHERE step = p_step AND kind = 'function' AND name = f.name;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.drop_made_function(integer) IS
  'Drops the function that a step made, unless something else has come to use it';

CREATE OR REPLACE FUNCTION callctl.bring_back(p_table name, p_schema regnamespace)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF to_regclass(format('callctl.%I', p_table)) IS NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('ALTER TABLE callctl.%I SET SCHEMA %s', p_table, p_schema);
  RETURN true;
END
$$;
COMMENT ON FUNCTION callctl.bring_back(name, regnamespace) IS
  'Moves an archived table, with its rows, back into the platform''s schema; false where none is archived';

CREATE OR REPLACE FUNCTION callctl.add_missing_constraint(p_table regclass, p_name name, p_definition text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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

CREATE OR REPLACE FUNCTION callctl.put_away_made_rows(p_step integer, p_table regclass)
RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  m record;
  u record;
  moved integer := 0;
  hit integer;
BEGIN
  FOR m IN SELECT relation, name::uuid AS row_id FROM callctl.made WHERE step = p_step AND kind = 'row' LOOP
    FOR u IN SELECT * FROM callctl.rows_referring_to(p_table, m.row_id) LOOP
      RAISE EXCEPTION 'row % of % is still used: % row(s) of % refer to it through %',
        m.row_id, p_table, u.referring_rows, u.referring_table, u.constraint_name
        USING ERRCODE = 'foreign_key_violation', CONSTRAINT = u.constraint_name;
    END LOOP;
    EXECUTE format(
      'INSERT INTO callctl.saved_row (relation, row_id, contents)
       SELECT %L, t.id, to_jsonb(t) FROM %s t WHERE t.id = $1
       ON CONFLICT (relation, row_id) DO UPDATE SET contents = EXCLUDED.contents, saved_at = now(), superseded_at = NULL',
      m.relation, p_table) USING m.row_id;
    EXECUTE format('DELETE FROM %s WHERE id = $1', p_table) USING m.row_id;
    GET DIAGNOSTICS hit = ROW_COUNT;
    moved := moved + hit;
  END LOOP;
  RETURN moved;
END
$$;
COMMENT ON FUNCTION callctl.put_away_made_rows(integer, regclass) IS
  'Saves and deletes the rows that a step inserted; refuses, naming it, where a foreign key still uses one';

CREATE OR REPLACE FUNCTION callctl.bring_back_rows(p_table regclass, p_key name)
RETURNS integer LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  s record;
  columns text;
  taken boolean;
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
    DELETE FROM callctl.saved_row WHERE relation = s.relation AND row_id = s.row_id;
    returned := returned + 1;
  END LOOP;
  RETURN returned;
END
$$;
COMMENT ON FUNCTION callctl.bring_back_rows(regclass, name) IS
  'Inserts saved rows again as they were; one whose key was taken meanwhile is marked superseded';

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
