-- The companies that load tests made for themselves and have not removed yet.

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
COMMENT ON COLUMN callctl.load_test.started_at IS 'Time of creation';
COMMENT ON COLUMN callctl.load_test.client IS 'User and host that ran callctl';
COMMENT ON COLUMN callctl.load_test.callctl_version IS 'Version of callctl that ran it';
