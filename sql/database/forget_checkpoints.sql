-- Delete the checkpoints of a step: in one direction, or in both where it is NULL. %(step)s, %(direction)s
DELETE FROM callctl.checkpoint
WHERE step = %(step)s AND (%(direction)s::text IS NULL OR direction = %(direction)s)
