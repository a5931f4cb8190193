-- How far the step under way has come: its checkpoints, and the work list of its batches.

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
COMMENT ON TABLE callctl.checkpoint IS 'Progress of the step under way; empty when the step is done';
COMMENT ON COLUMN callctl.checkpoint.step IS 'Number of the step under way';
COMMENT ON COLUMN callctl.checkpoint.direction IS 'up or down';
COMMENT ON COLUMN callctl.checkpoint.sha256 IS 'SHA-256 of the file; a checkpoint of another file does not count';
COMMENT ON COLUMN callctl.checkpoint.statement IS 'Number of the statement in the file, from 1';
COMMENT ON COLUMN callctl.checkpoint.finished IS 'True when the whole statement is committed';
COMMENT ON COLUMN callctl.checkpoint.changed IS 'Rows written so far';
COMMENT ON COLUMN callctl.checkpoint.written_at IS 'Time of the commit';

CREATE UNLOGGED TABLE IF NOT EXISTS callctl.work_list (
  ordinal bigint PRIMARY KEY,
  key uuid NOT NULL
);
COMMENT ON TABLE callctl.work_list IS
  'The rows that the current batched statement has to write; made again when a run resumes, and lost in a crash without harm';
COMMENT ON COLUMN callctl.work_list.ordinal IS 'Order in which they are touched, from 1: that of the table on disk';
COMMENT ON COLUMN callctl.work_list.key IS 'Primary key of the row';

CREATE UNLOGGED TABLE IF NOT EXISTS callctl.work_done (
  session integer PRIMARY KEY,
  listed bigint NOT NULL,
  done bigint NOT NULL
);
COMMENT ON TABLE callctl.work_done IS
  'Progress of the batched statement under way; each session writes a row of its own, so that no session waits for another';
COMMENT ON COLUMN callctl.work_done.session IS 'Server process of a session that writes batches';
COMMENT ON COLUMN callctl.work_done.listed IS 'Rows of the work list, in the row of the session that made it; 0 in the others';
COMMENT ON COLUMN callctl.work_done.done IS 'Rows of the work list that this session has written, in the transactions that wrote them';
