-- Step 11, again: call_transcripts returns from the archive as it was archived, rows, columns, indexes, constraints and policies, before
-- any session can write. Runs in place of up.sql if callctl.call_transcripts exists; nothing of up.sql is made again.

ALTER TABLE callctl.call_transcripts SET SCHEMA chatapp;

-- What was written down of it is not needed any more.
DELETE FROM callctl.definition WHERE step = 11;
