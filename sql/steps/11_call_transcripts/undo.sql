-- Step 11, given up before its end: call_transcripts goes, which nothing was written into, and the step is pending again. Where it was
-- to come back from the archive, it is there still.

SELECT callctl.drop_unfinished_table(11, to_regclass('chatapp.call_transcripts'));

DELETE FROM callctl.checkpoint WHERE step = 11;
