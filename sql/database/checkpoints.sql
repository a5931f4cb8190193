-- How far a step came, by statement; the checkpoints of another file do not count. %(step)s, %(direction)s, %(sha256)s
SELECT statement, finished, changed FROM callctl.checkpoint
WHERE step = %(step)s AND direction = %(direction)s AND sha256 = %(sha256)s
