-- Step 11, again: call_transcripts comes back from the archive as it was archived, rows, columns, indexes, constraints and policies, before
-- anyone can write. Run in place of up.sql where callctl.call_transcripts is there; nothing of up.sql is made again.

ALTER TABLE callctl.call_transcripts SET SCHEMA chatapp;

-- What was written down of it is not needed any more.
DELETE FROM callctl.definition WHERE step = 11;
