-- Step 11, back: call_transcripts goes to the archive, rows, indexes and foreign keys and all. Nothing is dropped.
-- Specification: L2104-2110 (which drops the table).

ALTER TABLE chatapp.call_transcripts SET SCHEMA callctl;

-- That it is there, and as what: verify compares it.
SELECT callctl.remember_archived(11, 'callctl.call_transcripts'::regclass);
