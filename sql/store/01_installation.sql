-- The schema callctl, and the row that says which schema of the platform it belongs to.
--
-- The files of sql/store make callctl's own schema, or bring it up to date. callctl runs them in the order of their names, in
-- one transaction; psql may run them file by file (docs/how-to/recover-after-a-failed-step.md). They are safe to run again.

-- What this session writes to callctl's tables is counted (callctl.tally); what others write there by hand is not.
SET callctl.writes = 'on';

-- Functions have a search_path of their own (pg_catalog first), but for those that write to the platform's tables or alter them:
-- the platform's triggers and event triggers, which they fire, run with the session's.

-- Asked for first: IF NOT EXISTS wants the right to create a schema also where this one is there.
DO $$ BEGIN
  IF to_regnamespace('callctl') IS NULL THEN
    CREATE SCHEMA callctl;
  END IF;
END $$;
COMMENT ON SCHEMA callctl IS 'callctl: history of the voice call migration, and what it saved for a rollback';

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
COMMENT ON COLUMN callctl.installation.created_at IS 'Time of the first write of callctl';
COMMENT ON COLUMN callctl.installation.counted IS 'The tables whose rows callctl.tally has begun to count: it begins once, so that an emptied tally is noticed';
