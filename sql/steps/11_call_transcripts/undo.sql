-- Step 11, given up before its end: call_transcripts, still empty, is dropped, and the step is pending again. If it was
-- about to return from the archive, it is still there.

SELECT callctl.drop_unfinished_table(11, to_regclass('chatapp.call_transcripts'));

DELETE FROM callctl.checkpoint WHERE step = 11;
