-- The rotation of secrets: its ledger, the ranges and failures of the rotation under way, and the fields whose values are bound
-- to their row.

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
COMMENT ON COLUMN callctl.rotation.from_keys IS 'Ids of the earlier keys of the values, with plaintext as one of them';
COMMENT ON COLUMN callctl.rotation.fields IS
  'Digest of the fields of the rotation and of the rows that --bind-new names: only a run with the same digest may join. For webhook secrets: the accounts';
COMMENT ON COLUMN callctl.rotation.started_at IS 'Start of the rotation';
COMMENT ON COLUMN callctl.rotation.finished_at IS 'End of the last range; NULL while the rotation is under way';
COMMENT ON COLUMN callctl.rotation.outcome IS 'done, or given up for another one that was begun instead';
COMMENT ON COLUMN callctl.rotation.database_role IS 'The role that was connected';
COMMENT ON COLUMN callctl.rotation.client IS 'User and host that began it';
COMMENT ON COLUMN callctl.rotation.callctl_version IS 'Version of callctl that began it';
COMMENT ON COLUMN callctl.rotation.counts IS
  'Rows read and written; values by account type, field and what they were under before; accounts of another shape; the rows that --bind-new named. Of webhook secrets: accounts done, the last of them';
COMMENT ON COLUMN callctl.rotation.failures IS 'Values left as they were because they do not open, or hold something else';

-- Its index comes with the table: CREATE INDEX, even of an existing one, would wait for a batch of another session.
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
COMMENT ON COLUMN callctl.rotation_range.finished_at IS 'End of the last row; NULL while rows are left';

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
COMMENT ON INDEX callctl.rotation_failure_rotation IS 'Values that one rotation skipped';
COMMENT ON TABLE callctl.rotation_failure IS 'Values that a rotation left as they were, by place and reason; never a value. At most 1,000 of a range';
COMMENT ON COLUMN callctl.rotation_failure.id IS 'Order in which they were found';
COMMENT ON COLUMN callctl.rotation_failure.rotation IS 'The rotation that left it';
COMMENT ON COLUMN callctl.rotation_failure.relation IS 'The table, or what callctl saved of it';
COMMENT ON COLUMN callctl.rotation_failure.row_id IS 'Primary key of the row';
COMMENT ON COLUMN callctl.rotation_failure.path IS 'The field';
COMMENT ON COLUMN callctl.rotation_failure.reason IS 'unknown-key, wrong-key, tampered, moved, unbound, foreign, misshapen, malformed, too slow, not-text or not-an-object';
COMMENT ON COLUMN callctl.rotation_failure.found_at IS 'Time at which callctl found the value';

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
COMMENT ON COLUMN callctl.bound_field.bound_at IS 'End of that rotation';
