-- Step 10, back: calls goes to the archive, rows, indexes and foreign keys and all. Nothing is dropped.
-- Specification: L1744-1756 (which drops the table).

DROP TRIGGER IF EXISTS update_calls_updated_at ON chatapp.calls;

ALTER TABLE chatapp.calls SET SCHEMA callctl;

-- That it is there, and as what: verify compares it.
SELECT callctl.remember_archived(10, 'callctl.calls'::regclass);
