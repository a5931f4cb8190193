-- How far the step under way has come, as committed: its last statement with a checkpoint, and of a batched statement that is not
-- finished the rows listed and those of them that are done. No row where no step has committed anything.
SELECT c.step, c.direction, c.sha256, c.statement, c.finished, w.listed::bigint, w.done::bigint
FROM callctl.checkpoint AS c
CROSS JOIN (SELECT coalesce(sum(listed), 0) AS listed, coalesce(sum(done), 0) AS done FROM callctl.work_done) AS w
ORDER BY c.written_at DESC
LIMIT 1
