-- The history of the steps with what was expected of each, and the audit trail of the commands that write outside of them.

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
COMMENT ON COLUMN callctl.history.started_at IS 'Start of the run of this step';
COMMENT ON COLUMN callctl.history.finished_at IS 'Time at which the last transaction of the step wrote this row';
COMMENT ON COLUMN callctl.history.database_role IS 'The role that was connected';
COMMENT ON COLUMN callctl.history.client IS 'User and host that ran callctl';
COMMENT ON COLUMN callctl.history.callctl_version IS 'Version of callctl that ran it';
COMMENT ON COLUMN callctl.history.adopted IS 'True if the step was done without callctl: its checks passed, and callctl only recorded it';

CREATE TABLE IF NOT EXISTS callctl.forecast (
  history_id bigint PRIMARY KEY,
  low_seconds double precision NOT NULL,
  expected_seconds double precision NOT NULL,
  high_seconds double precision NOT NULL,
  rates text NOT NULL
);
COMMENT ON TABLE callctl.forecast IS 'One row for each step that had a forecast when it ran. Rows are only ever added';
COMMENT ON COLUMN callctl.forecast.history_id IS 'The row of history of the step taken; its started_at and finished_at say how long it took';
COMMENT ON COLUMN callctl.forecast.low_seconds IS 'Four of five times between this and high_seconds';
COMMENT ON COLUMN callctl.forecast.expected_seconds IS 'The time that it was expected to take';
COMMENT ON COLUMN callctl.forecast.high_seconds IS 'Four of five times between low_seconds and this';
COMMENT ON COLUMN callctl.forecast.rates IS 'Where the forecast was from: shipped, measured (on this server), learned (from earlier runs, too)';

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
COMMENT ON COLUMN callctl.action.detail IS 'Written data: keys of rows, counts, values before and after; never a secret';
COMMENT ON COLUMN callctl.action.taken_at IS 'Time of writing, in the transaction of the action itself';
COMMENT ON COLUMN callctl.action.database_role IS 'The role that was connected';
COMMENT ON COLUMN callctl.action.client IS 'User and host that ran callctl';
COMMENT ON COLUMN callctl.action.callctl_version IS 'Version of callctl that ran it';
