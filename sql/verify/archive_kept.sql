-- fast: yes
-- means: archived accounts, calls or transcripts are lost, or migrate up stops at them, or deleting the platform's rows fails
-- fix: run the statement in the row, or restore a missing table or column from a backup. To discard a table's rows instead, run callctl preflight

-- The rows are not compared.
-- check: archive-kept: every table that migrate down archived exists, with its columns, constraints, indexes, triggers, rules, policies and row security
SELECT a.relation AS table, a.object, left(a.archived_as, 100) AS archived_as, left(a.is_now, 100) AS is_now, a.statement
FROM callctl.archive_changes() AS a;
