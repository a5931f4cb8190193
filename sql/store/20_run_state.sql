-- What a callctl at work says of itself, for callctl migrate watch. The orders that it obeys are rows of callctl.action.

CREATE UNLOGGED TABLE IF NOT EXISTS callctl.run_state (
  session integer PRIMARY KEY,
  command text NOT NULL,
  began_at timestamp with time zone NOT NULL,
  steps jsonb NOT NULL,
  step integer,
  step_began_at timestamp with time zone,
  brake jsonb,
  obeyed bigint NOT NULL,
  share integer NOT NULL,
  waiting_before integer,
  told_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE callctl.run_state IS
  'A row for each run under way, which it writes about once a second and deletes at its end; lost in a crash without harm';
COMMENT ON COLUMN callctl.run_state.session IS 'Server process that holds the migration lock for this run';
COMMENT ON COLUMN callctl.run_state.command IS 'The command, without its options';
COMMENT ON COLUMN callctl.run_state.began_at IS 'Start of the run';
COMMENT ON COLUMN callctl.run_state.steps IS 'The steps of the run in order: number, name, seconds expected (low, expected, high; NULL if not known) and taken (NULL until done)';
COMMENT ON COLUMN callctl.run_state.step IS 'The step under way; NULL before the first one';
COMMENT ON COLUMN callctl.run_state.step_began_at IS 'Start of that step';
COMMENT ON COLUMN callctl.run_state.brake IS 'What the run waits for: what, seconds, limit, holders; NULL if it waits for nothing';
COMMENT ON COLUMN callctl.run_state.obeyed IS 'The newest order that it obeys (callctl.action.id); 0 for none';
COMMENT ON COLUMN callctl.run_state.share IS 'It works one part of this many of its time: 1 is full speed';
COMMENT ON COLUMN callctl.run_state.waiting_before IS 'Sessions of others that waited for a lock when the run began';
COMMENT ON COLUMN callctl.run_state.told_at IS 'Time of writing';
-- A role that may watch the server may watch a run. No value of a row of the platform is in it.
GRANT USAGE ON SCHEMA callctl TO pg_monitor;
GRANT SELECT ON callctl.run_state TO pg_monitor;
