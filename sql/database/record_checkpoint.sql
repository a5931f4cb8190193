-- Record how far a statement of a step has come, and return it as it is stored.
-- %(step)s, %(direction)s, %(sha256)s, %(statement)s, %(finished)s, %(changed)s
INSERT INTO callctl.checkpoint (step, direction, sha256, statement, finished, changed)
VALUES (%(step)s, %(direction)s, %(sha256)s, %(statement)s, %(finished)s, %(changed)s)
ON CONFLICT (step, direction, statement)
DO UPDATE SET sha256 = EXCLUDED.sha256, finished = EXCLUDED.finished, changed = EXCLUDED.changed, written_at = clock_timestamp()
RETURNING sha256, statement, finished, changed
