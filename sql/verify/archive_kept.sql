-- fast: yes
-- means: archived accounts, calls or transcripts are lost, or a way up stops at them, or a delete of the platform's rows does
-- mends: run the statement beside it; a table or a column that is gone comes back from a backup; callctl preflight says how to give up a table's rows

-- Of the rows nothing is compared.
-- check: archive-kept: every table that going down has archived is there, with the columns, constraints, indexes, triggers, rules, policies and row security that it had
SELECT a.relation AS table, a.object, left(a.archived_as, 100) AS archived_as, left(a.is_now, 100) AS is_now, a.statement
FROM callctl.archive_changes() AS a;
