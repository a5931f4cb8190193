-- The end of a rotation, written once, by the first process after its last range; the ranges go,
-- and say which targets were gone through: no row where another run had ended it.
-- %(rotation)s, %(counts)s, %(from_keys)s, %(failures)s
WITH ended AS (
  UPDATE callctl.rotation SET finished_at = clock_timestamp(), outcome = 'done', counts = %(counts)s,
    from_keys = %(from_keys)s::text[], failures = %(failures)s
  WHERE id = %(rotation)s AND finished_at IS NULL
    AND NOT EXISTS (SELECT FROM callctl.rotation_range WHERE rotation = %(rotation)s AND finished_at IS NULL)
  RETURNING id)
DELETE FROM callctl.rotation_range AS r USING ended AS e WHERE r.rotation = e.id RETURNING r.target
