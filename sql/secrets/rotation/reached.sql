-- How far a range has come, in the transaction that wrote its rows.
-- %(range)s, %(reached)s, %(rows_done)s, %(counts)s, %(failures)s, %(finished)s
UPDATE callctl.rotation_range
SET reached = coalesce(%(reached)s, reached), rows_done = %(rows_done)s, counts = %(counts)s, failures = %(failures)s,
  finished_at = CASE WHEN %(finished)s THEN clock_timestamp() END
WHERE id = %(range)s
